"""Many conversations, one rendering each.

Where each turn of a conversation stands takes two more renderings a turn (`render.render`). Conversations of the same
roles mostly come out alike but for their contents: the template is asked once, with stand-ins for the contents, and
what it puts between them is the *layout* of these roles. A conversation whose own text is exactly its layout filled
with its contents has its turns where the layout says; any other is looked at turn by turn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from preflight.data.render import Rendered, RenderError, Rules, Span, head_of, render
from preflight.data.shapes import Example, Message
from preflight.model.tokenizer import Tokenizer

PLAIN = {"role", "content"}
Edge = tuple[int, int]  # which piece, and how many characters into it


@dataclass(frozen=True, slots=True)
class Layout:
    """What a template puts around the contents of some sequence of roles.

    Attributes:
        pieces: What stands before, between and behind the contents: one more than there are contents.
        edges: Where each span to learn starts and ends.
        prefix_ok: As in `Rendered`.
    """

    pieces: tuple[str, ...]
    edges: tuple[tuple[Edge, Edge], ...]
    prefix_ok: bool

    def fill(self, contents: list[str]) -> str:
        parts = [part for pair in zip(self.pieces, contents, strict=False) for part in pair]
        return "".join(parts) + self.pieces[-1]

    def spans(self, contents: list[str]) -> tuple[Span, ...]:
        """The spans to learn in the filled layout."""
        starts = [0]
        for piece, content in zip(self.pieces, contents, strict=False):
            starts.append(starts[-1] + len(piece) + len(content))
        return tuple((starts[a] + start, starts[b] + stop) for (a, start), (b, stop) in self.edges)


def renderer(tokenizer: Tokenizer, rules: Rules) -> Callable[[Example], Rendered]:
    """`render.render` for many examples: the same result, mostly from one rendering each."""
    layouts: dict[tuple[str, ...], Layout | None] = {}
    compiled = tokenizer.compiled

    def render_one(example: Example) -> Rendered:
        messages = example.messages
        simple = not example.tools and not example.options and all(m.keys() == PLAIN for m in messages)
        if compiled is None or not messages or not simple:
            return render(example, tokenizer, rules)
        try:
            text: str = compiled(messages)
        except Exception:
            return render(example, tokenizer, rules)  # which says what is wrong
        if not rules.assistant_only_loss and not (example.answer_from and rules.completion_only_loss is not False):
            return Rendered(text, ((0, len(text)),), head_of(example, text))
        roles = (str(example.answer_from), *(message["role"] for message in messages))
        if roles not in layouts:
            layouts[roles] = _layout(example, tokenizer, rules)
        if (layout := layouts[roles]) is not None:
            for contents in _contents(messages):
                if layout.fill(contents) == text:
                    return Rendered(text, layout.spans(contents), head_of(example, text), layout.prefix_ok)
        return render(example, tokenizer, rules)

    return render_one


def _contents(messages: tuple[Message, ...]) -> list[list[str]]:
    """The contents as they stand and, if that is something else, without the space around them: many templates trim."""
    contents = [message["content"] for message in messages]
    trimmed = [content.strip() for content in contents]
    return [contents] if contents == trimmed else [contents, trimmed]


def _layout(example: Example, tokenizer: Tokenizer, rules: Rules) -> Layout | None:
    """The layout of an example's roles; None if the template does not simply put the contents in a row."""
    names = [f"Stand{index}in" for index in range(len(example.messages))]
    messages: tuple[dict[str, Any], ...] = tuple(
        {**message, "content": name} for message, name in zip(example.messages, names, strict=True)
    )
    stand_in = Example(example.shape, messages, answer_from=example.answer_from)
    try:
        rendered = render(stand_in, tokenizer, rules)
    except RenderError:
        return None
    if any(rendered.text.count(name) != 1 for name in names):
        return None
    starts = [rendered.text.index(name) for name in names]
    if sorted(starts) != starts:
        return None
    borders = [0, *(place for start, name in zip(starts, names, strict=True) for place in (start, start + len(name)))]
    inside = list(pairwise([*borders, len(rendered.text)]))[::2]
    edges = [(_edge(start, inside), _edge(stop, inside)) for start, stop in rendered.spans]
    if any(start is None or stop is None for start, stop in edges):
        return None
    pieces = tuple(rendered.text[start:stop] for start, stop in inside)
    return Layout(pieces, tuple(edges), rendered.prefix_ok)  # type: ignore[arg-type]


def _edge(place: int, pieces: list[Span]) -> Edge | None:
    """A place in the text as a place in one of its pieces; None if it is inside of a content."""
    return next(((n, place - start) for n, (start, stop) in enumerate(pieces) if start <= place <= stop), None)

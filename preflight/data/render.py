"""Rendering: from an example to text, and which parts of it are to be learned.

Supervised is the assistant's content and the token that ends its turn, nothing after it, unless the template's own
generation markers say otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from preflight.data.shapes import Example, Message
from preflight.model.tokenizer import Tokenizer

Span = tuple[int, int]
LEADING = ("system", "developer")


class RenderError(Exception):
    """The template refuses a conversation; the message is the template's."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """An example as text.

    Attributes:
        text: All of it.
        spans: (start, end) characters to learn, in order, each up to and including the end of its turn.
        head: Where the content of the first turn starts that is neither the system's nor the developer's.
        prefix_ok: False if a turn is rendered differently once other turns follow it.
    """

    text: str
    spans: tuple[Span, ...]
    head: int = 0
    prefix_ok: bool = True


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that decide labels, as TRL's `SFTConfig` names them.

    Attributes:
        assistant_only_loss: Learn only the assistant's turns of a conversation.
        completion_only_loss: Learn only the completion; None means yes for prompt-completion shapes.
        max_length: Cut longer examples; None for never.
        truncation_mode: `keep_start` or `keep_end`.
    """

    assistant_only_loss: bool = False
    completion_only_loss: bool | None = None
    max_length: int | None = field(default=None)
    truncation_mode: str = "keep_start"


def render(example: Example, tokenizer: Tokenizer, rules: Rules) -> Rendered:
    """The example as text with the spans to learn.

    Raises:
        RenderError: the template refuses it, or there is no template for a conversation.
    """
    if not example.messages:
        return _render_plain(example, tokenizer, rules)
    if tokenizer.template is None:
        raise RenderError("the tokenizer has no chat template; set model.chat_template to a .jinja file")
    first = 0 if rules.completion_only_loss is False else example.answer_from
    try:
        text, marked = _conversation(example, tokenizer)
    except Exception as error:  # a template is a program: besides TemplateError it raises TypeError, KeyError, …
        raise RenderError(f"{type(error).__name__}: {error}") from error
    if not rules.assistant_only_loss and not first:
        return Rendered(text, ((0, len(text)),), head_of(example, text))
    if marked:
        prompt = _prefix(example, tokenizer, first, generation_prompt=True) if first else ""
        begin = _shared(prompt or "", text)
        return Rendered(text, tuple(span for span in _joined(marked) if span[1] > begin), head_of(example, text))
    return _find_turns(text, example, tokenizer, first)


def head_of(example: Example, text: str) -> int:
    """Where the content of the first turn starts that is neither the system's nor the developer's; 0 if unknown."""
    if example.messages[0]["role"] not in LEADING:
        return 0
    first = next((str(said["content"]) for said in example.messages if said["role"] not in LEADING), "")
    return max(text.find(first.strip()), 0)


def _joined(blocks: Sequence[Span]) -> list[Span]:
    """Generation blocks without the empty ones; blocks that touch are one turn."""
    joined: list[Span] = []
    for start, stop in blocks:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        elif start < stop:
            joined.append((start, stop))
    return joined


def _render_plain(example: Example, tokenizer: Tokenizer, rules: Rules) -> Rendered:
    eos = tokenizer.hf.eos_token or ""
    completion = example.completion if example.completion.endswith(eos) else example.completion + eos  # as TRL does
    text = example.prompt + completion
    learn_all = example.shape == "text" or rules.completion_only_loss is False
    return Rendered(text, ((0 if learn_all else len(example.prompt), len(text)),))


def _conversation(
    example: Example, tokenizer: Tokenizer, upto: int | None = None, *, generation_prompt: bool = False
) -> tuple[str, list[Span]]:
    """The first messages of an example (all of them without `upto`) as text, and the template's generation blocks."""
    return tokenizer.render(
        example.messages[:upto], tools=example.tools, options=example.options, generation_prompt=generation_prompt
    )


def _prefix(example: Example, tokenizer: Tokenizer, upto: int, *, generation_prompt: bool = False) -> str | None:
    """The first messages as text; None where the template takes the whole conversation but not this part of it."""
    try:
        return _conversation(example, tokenizer, upto, generation_prompt=generation_prompt)[0]
    except Exception:
        return None


def _find_turns(text: str, example: Example, tokenizer: Tokenizer, first: int) -> Rendered:
    """Where each assistant turn stands, for a template without generation markers.

    A turn starts where the text rendered before it, with the generation prompt, ends; and is over where the text
    rendered up to it ends. Templates may render a turn differently once others follow (reasoning that is dropped, for
    one): then the turn is looked for behind the one before it.
    """
    spans: list[Span] = []
    prefix_ok = True
    cursor = 0
    for index, message in enumerate(example.messages):
        if message["role"] != "assistant":
            continue
        before = _prefix(example, tokenizer, index, generation_prompt=True) if index else None
        last = index == len(example.messages) - 1
        upto = text if last else _prefix(example, tokenizer, index + 1)
        whole = upto is not None and text.startswith(upto)
        if before is not None and text.startswith(before):
            start = len(before)
        else:
            header = _header(text, example, tokenizer)
            part = _within_header(text, before, header, tokenizer) if before is not None else None
            start = part if part is not None and part > cursor else _behind(text, cursor, header, _content(message))
            prefix_ok = False
        stop = len(upto) if upto is not None and whole else None
        cursor = _end_of_turn(text, start, stop, message, tokenizer)
        prefix_ok &= whole
        if index >= first:
            spans.append((start, cursor))
    return Rendered(text, tuple(spans), head_of(example, text), prefix_ok)


def _header(text: str, example: Example, tokenizer: Tokenizer) -> str:
    """What opens an assistant's turn: the generation prompt after the whole conversation."""
    asked = _prefix(example, tokenizer, len(example.messages), generation_prompt=True) or ""
    return asked[len(text) :] if asked.startswith(text) else ""


def _within_header(text: str, before: str, header: str, tokenizer: Tokenizer) -> int | None:
    """Where a turn starts if the prefix and the whole text part within the turn's header.

    The generation prompt then opens more than the turn itself has, such as a thinking block.
    """
    shared = _shared(before, text)
    if shared <= len(before) - len(header):
        return None
    return next((m.start() for m in tokenizer.special.finditer(text) if m.start() < shared < m.end()), shared)


def _behind(text: str, cursor: int, header: str, content: str) -> int:
    """Where the next turn behind `cursor` starts: after the first line of a header, or else at its content."""
    opening = header[: header.find("\n") + 1] or header
    at = text.find(opening, cursor) if opening else -1
    return at + len(opening) if at >= 0 else max(text.find(content, cursor), cursor)


def _shared(a: str, b: str) -> int:
    """How many characters two texts have in common at the start."""
    if b.startswith(a):
        return len(a)
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _content(message: Message) -> str:
    return str(message.get("content") or "").strip()


def _end_of_turn(text: str, start: int, stop: int | None, message: Message, tokenizer: Tokenizer) -> int:
    """Where a turn's learned part ends: after the token behind its content that stops a generation, else after the
    first special token.

    Args:
        text: The whole conversation.
        start: Where the turn starts.
        stop: Where it is over, with all that the template puts behind it; None if that isn't known.
        message: What was said.
        tokenizer: The run's tokenizer.
    """
    content = _content(message)
    limit = len(text) if stop is None else stop
    opening = limit - len(text[start:limit].lstrip())
    look = text.find if stop is None else text.rfind  # reasoning may stand before the content, and hold its words
    at = opening if text.startswith(content, opening) else look(content, start, limit)
    after = at + len(content) if at >= 0 else start
    marks = list(tokenizer.special.finditer(text, after, limit))
    stops = [mark for mark in marks if tokenizer.hf.convert_tokens_to_ids(mark.group()) in tokenizer.stop_ids]
    if message.get("tool_calls"):  # calls are rendered behind the content, often between special tokens of their own
        marks = stops or marks[-1:]
    elif stop is not None:
        marks = stops or marks
    if marks:
        return marks[0].end()
    return after if stop is None else after + len(text[after:stop].rstrip())

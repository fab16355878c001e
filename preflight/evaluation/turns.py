"""What belongs to the format of a conversation and not into an answer: control tokens, and markers of turns as text."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from preflight.data.hygiene.markers import ASSISTANT, CONTROL, HEADING, SPEAKERS
from preflight.data.hygiene.turn import prose
from preflight.evaluation.generate import Answer, Reply
from preflight.model.tokenizer import Tokenizer

# A line that opens with who speaks. Other labels, such as `Account:`, make a list of it.
LABEL = re.compile(r"^[ \t]*([A-Z][\w ]{0,24}?) ?:(?=\s|$)", re.MULTILINE)
USERS = frozenset(("Human", "HUMAN", "User", "USER"))
# What stands before each part of a prompt that was written by hand: `### Question:`, `Q:`.
SCAFFOLD = re.compile(r"^[ \t]*([^\w\s]{0,4} ?[^\W\d_][\w ]{0,24}?[^\w\s]{0,3}:)(?=\s|$)", re.MULTILINE)
LONG = 5  # characters of a marker that says enough in the middle of a line; `Q:` doesn't
ASKED, SAID = "wren", "lark"  # what is said in a conversation of which only the rest is of interest


@dataclass(frozen=True)
class Marks:
    """What answers must not hold.

    Attributes:
        special: Text of each special token's id.
        own: The markers that the run's own template or prompts have as plain text.
        usual: The kinds of markers that answers in the data have, so that they belong there.
    """

    special: dict[int, str]
    own: re.Pattern[str]
    usual: frozenset[str] = frozenset()

    def first(self, reply: Reply) -> str | None:
        """The first marker of a reply that doesn't belong there; None if there is none."""
        tokens = {self.special[token]: self.special[token] for token in reply.ids if token in self.special}
        found = [*tokens.items(), *self.written(reply.text)]
        return next((marker for kind, marker in found if kind not in self.usual), None)

    def written(self, text: str) -> Iterator[tuple[str, str]]:
        """Markers that stand in a text outside of code: the kind of each, and itself."""
        text = prose(text).strip()
        yield from ((match.group(), match.group()) for match in CONTROL.finditer(text))
        yield from (("label", match.group().strip()) for match in self.own.finditer(text))
        if opening := ASSISTANT.match(text) or HEADING.search(text):
            yield "label", opening.group().strip()
        labels = {match.group(1): match.start() for match in LABEL.finditer(text)}
        if labels.keys() <= SPEAKERS:
            yield from (("label", f"{name}:") for name, place in labels.items() if name in USERS and place)


def marks_of(tokenizer: Tokenizer, expected: Iterable[str], prompts: Collection[str] = ()) -> Marks:
    """What answers must not hold.

    Args:
        tokenizer: The run's tokenizer.
        expected: Answers in the data, with their special tokens.
        prompts: Prompts that were written without a template.
    """
    own = Marks(special_tokens(tokenizer), _pattern({*headers(tokenizer), *scaffold(prompts)}))
    usual: set[str] = set()
    for text in expected:
        usual |= {kind for kind, _ in own.written(text)} | {*tokenizer.special.findall(text)}
    return Marks(own.special, own.own, frozenset(usual))


def marks_in(tokenizer: Tokenizer, answers: Collection[Answer]) -> Marks:
    """What these answers must not hold, judged by the answers in the data."""
    plain = [answer.prompt for answer in answers if isinstance(answer.columns.get("prompt"), str)]
    return marks_of(tokenizer, (answer.expected for answer in answers), plain)


def special_tokens(tokenizer: Tokenizer) -> dict[int, str]:
    """Text of each special token's id."""
    hf: Any = tokenizer.hf
    added = {number: str(token) for number, token in hf.added_tokens_decoder.items() if token.special}
    return added | dict(zip(hf.all_special_ids, map(str, hf.all_special_tokens), strict=True))


def boundaries(tokenizer: Tokenizer) -> tuple[str, ...]:
    """What the template writes between user and assistant, between assistant and user, and before an answer.

    Empty if there is no template, or it can't be told.
    """
    if tokenizer.template is None:
        return ()
    said = [("user", ASKED), ("assistant", SAID), ("user", ASKED)]
    try:
        text, _ = tokenizer.render([{"role": role, "content": words} for role, words in said], generation_prompt=True)
    except Exception:  # a template is a program, and raises anything; what it refuses is judged before the run
        return ()
    between = re.split(f"{ASKED}|{SAID}", text)[1:]
    return tuple(between) if len(between) == len(said) else ()


def headers(tokenizer: Tokenizer) -> set[str]:
    """What the template writes as plain text before each turn: `USER:`, `### Instruction:`; not a bare `user`."""
    lines = (tokenizer.special.sub("\n", part).splitlines() for part in boundaries(tokenizer))
    pieces = (piece.strip() for part in lines for piece in part)
    return {piece for piece in pieces if re.search(r"[^\W\d_]", piece) and re.search(r"[^\w\s]", piece)}


def scaffold(prompts: Collection[str]) -> set[str]:
    """The labels that all of several prompts have, each on a line of its own."""
    labels = [{*SCAFFOLD.findall(prompt)} for prompt in prompts]
    return set.intersection(*labels) if len(labels) > 1 else set()


def _pattern(markers: Iterable[str]) -> re.Pattern[str]:
    """Matches each marker: at the start of a line, and a long one behind a space too, but never within a word."""
    ways = [(r"(?:^|(?<=\s))" if len(one) >= LONG else r"^[ \t]*") + re.escape(one) for one in markers]
    return re.compile("|".join(ways) or r"(?!)", re.MULTILINE)

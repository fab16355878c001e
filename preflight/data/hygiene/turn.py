"""What the scans of the hygiene pass look at: one turn at a time, and what helps to judge it."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from preflight.data.shapes import Example, Message

SHOWN = 100  # characters of an excerpt
AROUND = 30  # of which so many stand before what was found
CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|``.+?``|`[^`\n]+`", re.DOTALL)


class Turn(NamedTuple):
    """One turn of an example.

    Attributes:
        place: The example's place in its batch.
        at: The turn's place in the example; for plain text 0 is the prompt and 1 the completion.
        role: Who speaks. Plain text has `prompt` and `completion`, and `text` if there is no prompt.
        text: What is said.
        example: The whole example.
    """

    place: int
    at: int
    role: str
    text: str
    example: Example

    @property
    def message(self) -> Message:
        """The message as it is in the example; empty for plain text."""
        return self.example.messages[self.at] if self.example.messages else {}

    @property
    def asked(self) -> str:
        """All that the user said before it."""
        if not self.example.messages:
            return self.example.prompt
        return "\n".join(said["content"] for said in self.example.messages[: self.at] if said["role"] == "user")


ANSWERS = frozenset(("assistant", "completion"))
LEARNED = ANSWERS | {"text"}
EVERYBODY = frozenset(("system", "developer", "user", "assistant", "tool", "prompt", "completion", "text"))

Found = Iterable[tuple[str, str]]  # which variety, and an excerpt


@dataclass(frozen=True, slots=True)
class Scan:
    """A way to find one kind of fault in the text of single turns.

    Attributes:
        kind: What it finds.
        likely: A pattern (RE2) that every faulty text matches: the whole batch is asked at once, and cheaply.
        roles: Whose turns to look at.
        find: The real judgement, for the few texts that match.
    """

    kind: str
    likely: str
    roles: frozenset[str]
    find: Callable[[Turn], Found]


def turns_of(place: int, example: Example) -> Iterator[Turn]:
    """The turns of an example in order."""
    if example.messages:
        for index, message in enumerate(example.messages):
            yield Turn(place, index, message["role"], message["content"], example)
    elif example.shape == "text":
        yield Turn(place, 1, "text", example.completion, example)
    else:
        yield Turn(place, 0, "prompt", example.prompt, example)
        yield Turn(place, 1, "completion", example.completion, example)


def prose(text: str) -> str:
    """The text without its code: blocks between fences and spans between backticks become a backtick."""
    return CODE.sub("`", text) if "`" in text or "~~~" in text else text


def topics(words: str) -> re.Pattern[str]:
    """Matches a text that has one of these words, or beginnings of words, in either case."""
    return re.compile(rf"(?<![a-zA-Z])(?:{words})", re.IGNORECASE)


def excerpt(text: str, start: int = 0, end: int | None = None) -> str:
    """One line of text around a place, with an ellipsis where it was cut."""
    end = start if end is None else end
    first = max(start - AROUND, 0)
    last = min(max(first + SHOWN, end), first + 2 * SHOWN)
    line = " ".join(text[first:last].split())
    return f"{'…' * (first > 0)}{line}{'…' * (last < len(text))}"

"""An example as a person reads it: a chat, cut into what is learned, what is only read, and what is cut off.

The text is what the prepared ids decode to, so what is marked as learned is exactly what the loss counts. Where a turn
starts is looked up in the template's rendering; if that isn't what the ids decode to (a tokenizer that normalises,
say), the chat is shown as it stands in the data, and what the model reads below it.
"""

import json
import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from preflight.data import fidelity
from preflight.data.conversation import REASONING, function_of
from preflight.data.pieces import Piece, pieces
from preflight.data.render import RenderError, Rules, render
from preflight.data.shapes import Example, Message
from preflight.findings import counted
from preflight.model.tokenizer import Tokenizer

Part = Literal["frame", "reasoning", "code", "said"]
CODE = re.compile(r"^```.*?(?:^```[^\n]*$|\Z)", re.DOTALL | re.MULTILINE)
LOST = {  # what the template did to a row, in words
    "system-lost": "The template leaves words of the system message out.",
    "text-lost": "The template leaves words of a message out.",
    "tool-lost": "The template leaves a tool out.",
    "call-lost": "The template leaves a tool call out.",
    "reasoning-lost": "The template leaves the reasoning out.",
    "reasoning-dropped": "The template leaves the reasoning of earlier turns out.",
    "turn-not-learned": "A turn of the assistant is not learned.",
    "prompt-learned": "More than the assistant's words is learned.",
}
OTHERWISE = "What the model reads is not letter by letter what stands in the data. It is shown below the chat."


class Shown(NamedTuple):
    """A piece of text on the page.

    Attributes:
        text: The text.
        supervised: Whether the model learns to write it.
        special: Whether it is one special token.
        cut: Whether `max_length` cuts it off.
        part: `frame` is what the template puts around a message; the others are what stands in it.
    """

    text: str
    supervised: bool = False
    special: bool = False
    cut: bool = False
    part: Part = "said"


@dataclass(frozen=True, slots=True)
class Turn:
    """What stands together on the page under one heading."""

    role: str
    shown: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class View:
    """One example on the page.

    Attributes:
        turns: The chat.
        read: What the model reads, if that can't be told turn by turn.
        notes: What the reader must know.
        tools: Names of the declared tools.
        declared: Their declarations as JSON.
    """

    turns: tuple[Turn, ...]
    read: tuple[Shown, ...]
    notes: tuple[str, ...]
    tools: tuple[str, ...]
    declared: str


def view(example: Example, prepared: dict[str, Any], facts: dict[str, Any], tokenizer: Tokenizer, rules: Rules) -> View:
    """The example as a person reads it.

    Args:
        example: The row in normal form.
        prepared: Its `input_ids` and `labels`.
        facts: Its row of the profile.
        tokenizer: The run's tokenizer.
        rules: What is learned and where it is cut.
    """
    special = {token for token, added in tokenizer.hf.added_tokens_decoder.items() if added.special}
    special |= set(tokenizer.hf.all_special_ids)
    kept = pieces(prepared["input_ids"], prepared["labels"], tokenizer.backend, special)
    text, borders = _aligned(kept, *_layout(example, tokenizer, rules))
    whole = _with_cut(kept, text)
    notes = tuple(_notes(facts))
    tools = tuple(str(function_of(tool).get("name", "unnamed")) for tool in example.tools)
    declared = json.dumps(example.tools, ensure_ascii=False, indent=2, default=str) if tools else ""
    if whole is None:
        chat = tuple(Turn(role, (Shown(said),)) for role, said in _plain(example))
        return View(chat, tuple(Shown(*piece) for piece in kept), (*notes, OTHERWISE), tools, declared)
    return View(tuple(_turns(example, whole, borders)), (), notes, tools, declared)


def _notes(facts: dict[str, Any]) -> Iterator[str]:
    kept, length = int(facts["kept"]), int(facts["length"])
    if kept < length:
        yield f"max_length cuts {length - kept:,} of {counted(length, 'token')} off: the model never sees them."
    if not facts["supervised"]:
        yield "Nothing of this is learned."
    for place, flag in enumerate(fidelity.FLAGS):
        if flag in LOST and int(facts["flags"]) >> place & 1:
            yield LOST[flag]


def _layout(example: Example, tokenizer: Tokenizer, rules: Rules) -> tuple[str, list[int]]:
    """The rendered text, and where in it each message but the first starts."""
    try:
        text = render(example, tokenizer, rules).text
    except RenderError:  # can't be, for a row that was prepared
        return "", []
    if not example.messages:
        return text, [len(example.prompt)] if example.prompt else []
    borders: list[int] = []
    for upto in range(1, len(example.messages)):
        start = borders[-1] if borders else 0
        borders.append(_border(text, start, example, upto, tokenizer))
    return text, borders


def _border(text: str, start: int, example: Example, upto: int, tokenizer: Tokenizer) -> int:
    """Where a message is over: where the text rendered up to it ends, or else behind its content and end of turn."""
    try:
        before, _ = tokenizer.render(example.messages[:upto], tools=example.tools, options=example.options)
    except Exception:  # a template is a program, and may refuse a part of a conversation in any way
        before = ""
    if len(before) > start and text.startswith(before):
        return len(before)
    content = str(example.messages[upto - 1]["content"]).strip()
    at = text.find(content, start)
    after = at + len(content) if at >= 0 else start
    mark = tokenizer.special.search(text, after)
    if mark and tokenizer.hf.convert_tokens_to_ids(mark.group()) in tokenizer.stop_ids:
        after = mark.end()
    return after + len(text[after:]) - len(text[after:].lstrip("\n"))


def _aligned(kept: Sequence[Piece], text: str, borders: list[int]) -> tuple[str, list[int]]:
    """The same with what the tokenizer itself puts around plain text, which is in the ids only."""
    if kept and kept[0].special and not text.startswith(kept[0].text):
        text = kept[0].text + text
        borders = [border + len(kept[0].text) for border in borders]
    joined = "".join(piece.text for piece in kept)
    return (joined if kept and kept[-1].special and joined == text + kept[-1].text else text), borders


def _with_cut(kept: Sequence[Piece], text: str) -> list[Shown] | None:
    """The pieces and the text that was cut off; None if together they are not the rendered text."""
    shown = [Shown(*piece) for piece in kept]
    joined = "".join(piece.text for piece in kept)
    head, tail = joined.rstrip("\ufffd"), joined.lstrip("\ufffd")  # a cut may go through a character
    if joined == text:
        return shown
    if head and text.startswith(head):
        return [*shown, Shown(text[len(head) :], cut=True)]
    if tail and text.endswith(tail):
        return [Shown(text[: -len(tail)], cut=True), *shown]
    return None


def _turns(example: Example, whole: Sequence[Shown], borders: Sequence[int]) -> Iterator[Turn]:
    """The chat, turn by turn. A message that the template leaves out has none."""
    roles = [str(message["role"]) for message in example.messages]
    if not roles:
        roles = ["prompt", "completion"] if example.prompt else ["text"]
    text = "".join(piece.text for piece in whole)
    ends = list(pairwise([0, *borders, len(text)]))
    messages: Sequence[Message] = example.messages or [{"content": text[start:stop]} for start, stop in ends]
    learned = [at for at, piece in _cut_at(whole, ()) if piece.supervised]
    parts = [_parts(text, start, stop, said, learned) for (start, stop), said in zip(ends, messages, strict=True)]
    places = [*borders, *(place for part in parts for place, _ in part)]
    turns: list[list[Shown]] = [[] for _ in roles]
    for at, piece in _cut_at(whole, sorted(set(places))):
        turn = bisect(borders, at)
        part: Part = next((part for start, part in reversed(parts[turn]) if start <= at), "said")
        turns[turn].append(piece._replace(part=part))
    for role, shown in zip(roles, turns, strict=True):
        if shown:
            yield Turn(role, tuple(shown))


def _cut_at(shown: Iterable[Shown], places: Sequence[int]) -> Iterator[tuple[int, Shown]]:
    """The pieces cut at the places, each with its own place."""
    at = 0
    for piece in shown:
        inside = [place - at for place in places if at < place < at + len(piece.text)]
        for start, stop in pairwise([0, *inside, len(piece.text)]):
            yield at + start, piece._replace(text=piece.text[start:stop])
        at += len(piece.text)


def _parts(text: str, start: int, stop: int, message: Message, learned: Sequence[int]) -> list[tuple[int, Part]]:
    """Where the parts of a turn start.

    Every template writes tool calls in its own way. In a turn with some, all from the first learned token on is said.
    """
    content = str(message["content"]).strip()
    if message.get("tool_calls") or not content:
        first = next((at for at in learned if start <= at < stop), start)
        return [(start, "frame"), (first, "said")]
    if (at := text.rfind(content, start, stop)) < 0:
        return [(start, "said")]
    reasoning = next((str(message[key]).strip() for key in REASONING if message.get(key)), "")
    thought = text.find(reasoning, start, at) if reasoning else -1
    found: list[tuple[int, Part]] = [(start, "frame")]
    if thought >= 0:
        found += [(thought, "reasoning"), (thought + len(reasoning), "frame")]
    found.append((at, "said"))
    for block in CODE.finditer(content):
        found += [(at + block.start(), "code"), (at + block.end(), "said")]
    return [*found, (at + len(content), "frame")]


def _plain(example: Example) -> Iterator[tuple[str, str]]:
    """The chat as it stands in the data, as (role, text)."""
    if not example.messages:
        yield from (
            (role, text) for role, text in (("prompt", example.prompt), ("completion", example.completion)) if text
        )
    for message in example.messages:
        more = {key: value for key, value in message.items() if key not in ("role", "content")}
        words = [
            str(message["content"]),
            *([json.dumps(more, ensure_ascii=False, indent=2, default=str)] if more else []),
        ]
        yield str(message["role"]), "\n".join(word for word in words if word)

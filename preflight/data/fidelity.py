"""What the template and the tokenizer did to each example: facts about single rows that only the rendered text shows.

Facts about ids are read from the whole batch at once; facts about text from one row after the other, by `conversation`
and `handwritten`, which first ask what is cheap to ask.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from preflight.data import conversation, handwritten
from preflight.data.batch import Batch
from preflight.findings import places
from preflight.model.tokenizer import Tokenizer

# A flag's place is its bit in the profile; at most 63.
FLAGS: tuple[str, ...] = (
    "double-bos",  # begins with two BOS
    "no-bos",  # the tokenizer begins plain text with BOS, and this conversation has none
    "double-eos",  # EOS directly behind EOS
    "system-lost",  # words of the system's or developer's message are not in the rendered text
    "text-lost",  # words of another message are not
    "tool-lost",  # the name of a declared tool is not
    "call-lost",  # the name or an argument of a tool call is not
    "call-quoted",  # a call's arguments are rendered as text inside of text, or in Python's notation
    "reasoning-lost",  # reasoning of the last learned turn is not in the rendered text
    "reasoning-dropped",  # reasoning of an earlier learned turn is not
    "empty-think",  # an empty thinking block that is in no message is learned
    "unbalanced-think",  # a thinking block is opened and not closed, or closed and not opened
    "prompt-learned",  # what the assistant did not say is learned
    "turn-not-learned",  # an assistant's turn is not learned
    "typed-special",  # a special token is typed in a message
    "hand-written",  # plain text in a chat format that is not the template's
    "lossy",  # the ids don't decode to the text
)
SHOWN = 160  # characters of an excerpt


def look(batch: Batch, tokenizer: Tokenizer) -> Iterator[tuple[str, int, str]]:
    """The flags of a batch, each at most once a row: which, for which place of the batch, and what shows it."""
    yield from _ends(batch, tokenizer)
    yield from _lossy(batch, tokenizer)
    in_chat = conversation.looker(tokenizer)
    in_text = handwritten.looker(tokenizer)
    for place, (example, item) in enumerate(zip(batch.examples, batch.rendered, strict=True)):
        found = in_chat(example, item) if example.messages else in_text(example, item)
        for flag, text in found.items():
            yield flag, place, shown(text)


def shown(text: str) -> str:
    """The start of a text, as Arrow can keep it: half a surrogate pair, which UTF-8 lacks, is spelled out."""
    start = text[:SHOWN] + "…" * (len(text) > SHOWN)
    return start.encode("utf-8", "backslashreplace").decode()


def seen(found: Any) -> dict[str, str]:
    """Where a flag was set first and what shows it, as a finding takes it; `found` is what `Split.flagged` gives."""
    where = list(found["where"])
    shows = [repr(text) for text in found["text"].dropna()[:1]]  # the text of the first rows is kept, not of all
    also = [f"also {places(where[1:])}"] if len(where) > 1 else []
    return {"where": where[0], "observed": "; ".join(shows + also)}


def _ends(batch: Batch, tokenizer: Tokenizer) -> Iterator[tuple[str, int, str]]:
    """BOS and EOS: one BOS where the tokenizer itself puts one, no two in a row."""
    hf, ids, starts = tokenizer.hf, batch.labelled.ids, batch.labelled.starts
    first = starts[:-1][np.diff(starts) > 1]
    rows = np.flatnonzero(np.diff(starts) > 1)
    bos, eos = hf.bos_token_id, hf.eos_token_id
    if bos is not None:
        begins = ids[first] == bos
        yield from _each("double-bos", rows[begins & (ids[first + 1] == bos)], hf.bos_token * 2)
        if _begins_with(tokenizer, bos):
            without = [place for place in rows[~begins].tolist() if batch.examples[place].messages]
            yield from _each("no-bos", without, "no " + hf.bos_token)
    if eos is not None and eos != bos:
        ended = ids == eos
        second = np.flatnonzero(ended[1:] & ended[:-1]) + 1
        owner = np.searchsorted(starts, second, side="right") - 1
        yield from _each("double-eos", np.unique(owner[starts[owner] < second]), hf.eos_token * 2)


def _each(flag: str, rows: Iterable[int], text: str) -> Iterator[tuple[str, int, str]]:
    return ((flag, int(place), text) for place in rows)


def _begins_with(tokenizer: Tokenizer, bos: int) -> bool:
    """Whether the tokenizer puts BOS before plain text."""
    return tokenizer.adds_tokens and tokenizer.backend.encode("a").ids[:1] == [bos]


def _lossy(batch: Batch, tokenizer: Tokenizer) -> Iterator[tuple[str, int, str]]:
    """Rows with text that the vocabulary lacks: bytes without a token, or the unknown token in the place of letters."""
    ids, starts = batch.labelled.ids, batch.labelled.starts
    if tokenizer.byte_lengths is None:
        unknown = tokenizer.hf.unk_token_id
        if unknown is not None:
            for place in np.unique(np.searchsorted(starts, np.flatnonzero(ids == unknown), side="right") - 1).tolist():
                row = ids[starts[place] : starts[place + 1]]
                at = int(np.argmax(row == unknown))
                yield "lossy", place, tokenizer.backend.decode(row[max(at - 8, 0) : at + 8].tolist(), False)
        return
    if tokenizer.adds_tokens and not all(example.messages for example in batch.examples):
        return  # a token that was added has no bytes in the text
    rows = np.flatnonzero(np.diff(starts))
    texts = [item.text for item in batch.rendered]
    sizes = np.array([len(text) if text.isascii() else len(text.encode()) for text in texts])
    bytes_of_row = np.add.reduceat(tokenizer.byte_lengths[ids], starts[rows])
    for place in rows[bytes_of_row != sizes[rows]].tolist():
        text = texts[place]
        got = tokenizer.backend.decode(ids[starts[place] : starts[place + 1]].tolist(), False)
        if got != text:
            at = next((n for n, (a, b) in enumerate(zip(got, text, strict=False)) if a != b), min(len(got), len(text)))
            yield "lossy", place, text[max(at - 20, 0) : at + 20]

"""Labels: from rendered text to the ids the model reads and the ids it learns, a batch at a time, in numpy."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from preflight.data.engine import Engine, hf_engine
from preflight.data.render import Rendered, Rules, render
from preflight.data.shapes import Example
from preflight.model.tokenizer import Tokenizer

IGNORE = -100  # what torch's cross entropy skips
Ids = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenised batch, its rows one behind the other.

    Attributes:
        ids: Token ids of all rows.
        starts: Where each row starts in `ids`, and where the last one ends: one more than there are rows.
        offsets: (start, end) characters of each token in its own row, shape (tokens, 2); None if bytes will do.
    """

    ids: Ids
    starts: Places
    offsets: Places | None = None

    def row(self, index: int) -> Ids:
        return self.ids[self.starts[index] : self.starts[index + 1]]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A tokenised batch with what is to be learned of it, before truncation.

    Attributes:
        ids: As in `Tokens`.
        starts: As in `Tokens`.
        learned: Which of `ids` are supervised.
        matches: For each row whether its supervised ids decode to exactly the text that is to be learned.
        ends: For each row whether each learned span ends with a token that stops a generation.
        heads: For each row how many tokens stand before its `Rendered.head`.
    """

    ids: Ids
    starts: Places
    learned: Mask
    matches: Mask
    ends: Mask
    heads: Places

    @property
    def labels(self) -> Ids:
        """The ids to learn, -100 elsewhere."""
        return np.where(self.learned, self.ids, np.int32(IGNORE))

    def cut(self, rules: Rules) -> "Labelled":
        """What is left of each row after truncation."""
        lengths = np.diff(self.starts)
        if rules.max_length is None or not (lengths > rules.max_length).any():
            return self
        place = np.arange(len(self.ids)) - np.repeat(self.starts[:-1], lengths)
        if rules.truncation_mode == "keep_end":
            place = np.repeat(lengths, lengths) - 1 - place
        keep = place < rules.max_length
        starts = _starts(np.minimum(lengths, rules.max_length))
        return Labelled(self.ids[keep], starts, self.learned[keep], self.matches, self.ends, self.heads)


def sums(mask: npt.NDArray[np.generic], starts: Places) -> Places:
    """For each row the sum over its tokens."""
    return np.diff(np.concatenate(([0], np.cumsum(mask, dtype=np.int64)))[starts])


def tokenise(texts: list[str], tokenizer: Tokenizer, engine: Engine, *, plain: bool = False) -> Tokens:
    """The texts as ids. Most of it happens in Rust, without Python's lock.

    Args:
        texts: The batch.
        tokenizer: The run's tokenizer.
        engine: What turns text into ids, if the place of a token can be told from its bytes.
        plain: True for text without a template: the tokenizer then adds its own BOS and EOS, as TRL lets it.
    """
    adds = plain and tokenizer.adds_tokens
    if tokenizer.byte_lengths is not None and not adds:
        return Tokens(*engine.encode(texts))
    return _with_offsets(texts, tokenizer, adds)


def _with_offsets(texts: list[str], tokenizer: Tokenizer, adds: bool) -> Tokens:
    encodings = tokenizer.backend.encode_batch(texts, add_special_tokens=adds)
    ids = np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), dtype=np.int32)
    offsets = np.array([pair for encoding in encodings for pair in encoding.offsets], dtype=np.int64).reshape(-1, 2)
    return Tokens(ids, _starts([len(encoding) for encoding in encodings]), offsets)


def label(rendered: Sequence[Rendered], tokens: Tokens, tokenizer: Tokenizer) -> Labelled:
    """Which tokens of a batch are to be learned.

    A token that begins before a span counts if it reaches into it, as in transformers and TRL.

    Args:
        rendered: The batch.
        tokens: What `tokenise` made of its texts.
        tokenizer: The run's tokenizer.
    """
    if tokens.offsets is not None:
        return _label(rendered, tokens, tokenizer, _by_offsets(rendered, tokens, tokens.offsets))
    line = _by_bytes(rendered, tokens, tokenizer)
    odd = np.flatnonzero(np.diff(np.concatenate(([0], line.ends))[tokens.starts]) != line.sizes)
    if not len(odd):
        return _label(rendered, tokens, tokenizer, line)
    # The vocabulary lacks a byte of these, or they were normalised: only the tokenizer itself knows what went where.
    strange = [rendered[n] for n in odd.tolist()]
    slow = label(strange, _with_offsets([item.text for item in strange], tokenizer, False), tokenizer)
    sound = np.setdiff1d(np.arange(len(rendered)), odd)
    quick = label([rendered[n] for n in sound.tolist()], _pick(tokens, sound), tokenizer)
    return merged(quick, slow, np.concatenate((sound, odd)))


def one(example: Example, tokenizer: Tokenizer, rules: Rules) -> Labelled:
    """A single example, rendered, tokenised and labelled.

    Raises:
        RenderError: the template refuses it.
    """
    rendered = render(example, tokenizer, rules)
    tokens = tokenise([rendered.text], tokenizer, hf_engine(tokenizer.backend), plain=not example.messages)
    return label([rendered], tokens, tokenizer)


@dataclass(frozen=True, slots=True)
class _Line:
    """All texts of a batch as one long line: where each token begins and ends on it, and the size of each text."""

    begins: Places
    ends: Places
    sizes: Places
    in_bytes: bool


def _by_bytes(rendered: Sequence[Rendered], tokens: Tokens, tokenizer: Tokenizer) -> _Line:
    assert tokenizer.byte_lengths is not None
    ends = np.cumsum(tokenizer.byte_lengths[tokens.ids], dtype=np.int64)
    sizes = np.array([_bytes(item.text) for item in rendered], dtype=np.int64)
    if tokenizer.backend.normalizer is not None:  # NFC: it makes some letters longer and others shorter
        # Which can add up by chance. -1 fits no row.
        sizes[[not unicodedata.is_normalized("NFC", item.text) for item in rendered]] = -1
    return _Line(np.concatenate(([0], ends))[:-1], ends, sizes, True)


def _by_offsets(rendered: Sequence[Rendered], tokens: Tokens, offsets: Places) -> _Line:
    sizes = np.array([len(item.text) for item in rendered], dtype=np.int64)
    base = np.repeat(_starts(sizes)[:-1], np.diff(tokens.starts))
    # Tokens that the post-processor adds have no text: theirs is (0, 0). They stand where the one before them ended.
    empty = offsets[:, 0] >= offsets[:, 1]
    ends = np.maximum.accumulate(np.where(empty, base, offsets[:, 1] + base))
    return _Line(np.where(empty, ends, offsets[:, 0] + base), ends, sizes, False)


def _label(rendered: Sequence[Rendered], tokens: Tokens, tokenizer: Tokenizer, line: _Line) -> Labelled:
    begins, ends, base = line.begins, line.ends, _starts(line.sizes)[:-1]
    owner = np.repeat(np.arange(len(rendered)), [len(item.spans) for item in rendered])
    spans = [span for item in rendered for span in _spans(item, line.in_bytes)]
    start, stop, bare = (np.array(spans, dtype=np.int64).reshape(-1, 3) + base[owner, None]).T
    first = np.searchsorted(ends, start, side="right")
    last = np.maximum(np.searchsorted(begins, stop, side="left"), first)

    inset = np.array([_place(item.text, item.head, line.in_bytes) for item in rendered], dtype=np.int64)
    heads = np.where(inset > 0, np.searchsorted(begins, base + inset) - tokens.starts[:-1], 0)

    steps = np.zeros(len(tokens.ids) + 1, dtype=np.int32)
    np.add.at(steps, first, 1)
    np.add.at(steps, last, -1)
    learned = np.cumsum(steps[:-1]) > 0

    final = np.searchsorted(begins, bare, side="left") - 1
    stops = final >= first
    stops[stops] = np.isin(tokens.ids[final[stops]], list(tokenizer.stop_ids))
    ends_turn = np.array([bool(item.spans) for item in rendered], dtype=bool)
    ends_turn[owner[~stops]] = False

    doubtful = np.ones(len(owner), dtype=bool)
    if line.in_bytes:  # then its tokens are the span's bytes if they begin and end with it
        whole = last > first
        doubtful = stop > start
        doubtful[whole] = (begins[first[whole]] != start[whole]) | (ends[last[whole] - 1] != stop[whole])
    matches = np.ones(len(rendered), dtype=bool)
    for index in np.unique(owner[doubtful]):
        mine = [tokens.ids[a:b] for a, b in zip(first[owner == index], last[owner == index], strict=True)]
        matches[index] = _decode_to(mine, rendered[index], tokenizer)
    return Labelled(tokens.ids, tokens.starts, learned, matches, ends_turn, heads)


def _spans(item: Rendered, in_bytes: bool) -> list[tuple[int, int, int]]:
    """Each span's start, stop, and stop without the space behind it: templates put a line break behind the end of a
    turn. In characters or in bytes."""
    text = item.text
    found = [(start, stop, start + len(text[start:stop].rstrip())) for start, stop in item.spans]
    if not in_bytes or text.isascii():
        return found
    return [(_bytes(text[:a]), _bytes(text[:b]), _bytes(text[:c])) for a, b, c in found]


def _place(text: str, place: int, in_bytes: bool) -> int:
    return _bytes(text[:place]) if place and in_bytes else place


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _starts(lengths: Sequence[int] | Places) -> Places:
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def _pick(tokens: Tokens, rows: Places) -> Tokens:
    """Some rows of a batch."""
    where = _within(tokens.starts, rows)
    return Tokens(tokens.ids[where], _starts(np.diff(tokens.starts)[rows]))


def _within(starts: Places, rows: Places) -> Places:
    """The places of all tokens of some rows, in the order of the rows."""
    return np.concatenate([np.arange(starts[row], starts[row + 1]) for row in rows] or [np.zeros(0, dtype=np.int64)])


def merged(first: Labelled, second: Labelled, places: Places) -> Labelled:
    """Two batches as one.

    Args:
        first: Some of its rows.
        second: The others.
        places: Where in the merged batch each row of the first and then of the second belongs.
    """
    order = np.argsort(places)
    starts = np.concatenate((first.starts, first.starts[-1] + second.starts[1:]))
    where = _within(starts, order)
    return Labelled(
        np.concatenate((first.ids, second.ids))[where],
        _starts(np.diff(starts)[order]),
        np.concatenate((first.learned, second.learned))[where],
        np.concatenate((first.matches, second.matches))[order],
        np.concatenate((first.ends, second.ends))[order],
        np.concatenate((first.heads, second.heads))[order],
    )


def _decode_to(learned: Sequence[Ids], item: Rendered, tokenizer: Tokenizer) -> bool:
    """Whether what is learned of each span decodes to the span's text."""
    decoded = tokenizer.backend.decode_batch([ids.tolist() for ids in learned], skip_special_tokens=False)
    wanted = (item.text[start:stop] for start, stop in item.spans)
    return all(_alike(got, text, tokenizer) for got, text in zip(decoded, wanted, strict=True))


def _alike(got: str, wanted: str, tokenizer: Tokenizer) -> bool:
    """Whether two texts say the same: composed accents and the spaces around special tokens aside."""
    if got == wanted:
        return True
    spaced = re.compile(rf"\s*({tokenizer.special.pattern})\s*")
    one, other = (spaced.sub(r"\1", unicodedata.normalize("NFC", text)).strip() for text in (got, wanted))
    return one == other

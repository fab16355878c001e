"""What turns text into ids: tokenizers, or a faster engine that was seen to give the same.

transformers encodes with tokenizers, so its ids are the truth. fastokens and tokie do the same many times faster. They
are asked only if the config wants it, and only after their ids equalled those of tokenizers on the run's own rows and
on letters of every script. Rows with bytes that the vocabulary lacks always go to tokenizers: fastokens refuses them,
and tokie leaves out other bytes.
"""

import tempfile
import unicodedata
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Name = Literal["auto", "tokenizers", "fastokens", "tokie"]
Encoded = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]
Encode = Callable[[list[str]], Encoded]
FASTEST_FIRST = ("fastokens", "tokie")
STOPS = (KeyboardInterrupt, SystemExit)  # but a panic in Rust, a BaseException too, must never end a run
SAMPLE = 1000  # rows that are compared
AT_ONCE = 128  # texts; tokenizers keeps much more than ids of each, and slows down once that leaves the caches
UNCHANGING = ("", '{"type":"Sequence","normalizers":[]}')  # normalizers that change nothing
COMPOSING = ('{"type":"NFC"}', '{"type":"Sequence","normalizers":[{"type":"NFC"}]}')


@dataclass(frozen=True, slots=True)
class Engine:
    """What turns text into ids.

    Attributes:
        name: What it is, with its version.
        encode: Ids of all texts, one behind the other, and where each text starts and the last one ends. Adds nothing.
        note: Why a faster one was not taken though it was wanted.
    """

    name: str
    encode: Encode
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.note})" if self.note else self.name


def hf_engine(backend: Any) -> Engine:
    """tokenizers itself."""

    def encode(texts: list[str]) -> Encoded:
        flat, ends = array("i"), array("q", [0])
        for start in range(0, len(texts), AT_ONCE):
            for encoding in backend.encode_batch_fast(texts[start : start + AT_ONCE], add_special_tokens=False):
                flat.fromlist(encoding.ids)
                ends.append(len(flat))
        return np.frombuffer(flat, dtype=np.int32), np.frombuffer(ends, dtype=np.int64)

    return Engine(f"tokenizers {metadata.version('tokenizers')}", encode)


def choose(backend: Any, wanted: Name, texts: Sequence[str]) -> Engine:
    """The engine that the config wants, if it is installed and gives the ids of tokenizers; otherwise tokenizers.

    Args:
        backend: The Rust tokenizer of the run.
        wanted: `data.engine`; `auto` for the fastest that will do.
        texts: Rows of the run to compare on; up to SAMPLE of them are.
    """
    truth = hf_engine(backend)
    if wanted == "tokenizers":
        return truth
    notes = []
    sample = [*texts[:SAMPLE], *_every_script()]
    for name in FASTEST_FIRST if wanted == "auto" else [wanted]:
        try:
            engine = _careful(Engine(f"{name} {metadata.version(name)}", LOADERS[name](backend)), truth, backend)
            row = _first_difference(engine.encode(sample), truth.encode(sample))
        except metadata.PackageNotFoundError:
            notes.append(f"{name} is not installed")
        except STOPS:
            raise
        except BaseException as error:  # whatever an engine has against this tokenizer
            notes.append(f"{name} can't read this tokenizer: {str(error).partition(chr(10))[0]}")
        else:
            if row is None:
                return replace(engine, note="; ".join(notes))
            notes.append(f"{name} gives other ids than tokenizers, first for {sample[row][:60]!r}")
    # `auto` asks for what there is: nothing to say if there is nothing.
    return replace(truth, note="; ".join(note for note in notes if wanted != "auto" or "not installed" not in note))


def byte_lengths(backend: Any) -> npt.NDArray[np.int32] | None:
    """How many bytes of text stand behind each id of a byte-level tokenizer, by id.

    Then each token's place in the UTF-8 bytes of its text is the sum over the ids before it. That holds for a text if
    all of its lengths add up to its size, which they don't where the vocabulary lacks a byte, and if it is composed:
    NFC makes some letters longer and others shorter. None for tokenizers that change text otherwise, or whose special
    tokens swallow the space beside them.
    """
    from tokenizers.pre_tokenizers import ByteLevel

    states = [_state(part) for part in (backend.normalizer, backend.pre_tokenizer, backend.decoder)]
    normalizer, pre_tokenizer, decoder = states
    if normalizer not in UNCHANGING + COMPOSING or type(backend.model).__name__ != "BPE":
        return None
    if '"ByteLevel"' not in pre_tokenizer or '"ByteLevel"' not in decoder:
        return None
    added = backend.get_added_tokens_decoder()
    if '"add_prefix_space":true' in pre_tokenizer or any(one.lstrip or one.rstrip for one in added.values()):
        return None
    letters = set(ByteLevel.alphabet())  # one for each byte
    vocabulary = backend.get_vocab(with_added_tokens=True)
    lengths = np.zeros(max(vocabulary.values(), default=0) + 1, dtype=np.int32)
    for token, number in vocabulary.items():
        plain = number not in added and letters.issuperset(token)
        lengths[number] = len(token) if plain else len(token.encode())
    return lengths


def _state(part: Any) -> str:
    return part.__getstate__().decode() if part is not None else ""


def _careful(engine: Engine, truth: Engine, backend: Any) -> Engine:
    """The engine, but for rows with a byte that the vocabulary lacks, and batches that it refuses."""
    known = backend.get_vocab(with_added_tokens=True)
    lacking = bytes(byte for byte, letter in _letters().items() if letter not in known)

    def encode(texts: list[str]) -> Encoded:
        raw = [text.encode() for text in texts]
        odd = [place for place, one in enumerate(raw) if len(one.translate(None, lacking)) < len(one)]
        even = sorted(set(range(len(texts))) - set(odd))
        try:
            quick = engine.encode([texts[place] for place in even])
        except STOPS:
            raise
        except BaseException:
            return truth.encode(texts)
        return _merged(quick, truth.encode([texts[place] for place in odd]), [*even, *odd]) if odd else quick

    return replace(engine, encode=encode)


def _letters() -> dict[int, str]:
    """What byte-level vocabularies write for each byte that UTF-8 has."""
    from tokenizers.pre_tokenizers import ByteLevel

    spelling = ByteLevel(add_prefix_space=False, use_regex=False)
    samples = [
        *range(0x800),
        *range(0x800, 0xD800, 0x400),
        *range(0xE000, 0x10000, 0x400),
        *range(0x10000, 0x110000, 0x1000),
    ]
    letters: dict[int, str] = {}
    for sample in map(chr, samples):
        ((written, _),) = spelling.pre_tokenize_str(sample)
        letters |= dict(zip(sample.encode(), written, strict=True))
    return letters


def _merged(first: Encoded, second: Encoded, places: list[int]) -> Encoded:
    """Two encoded batches as one; `places` tells where each row of the first and then of the second belongs."""
    rows = [ids[start:stop] for ids, starts in (first, second) for start, stop in pairwise(starts)]
    ordered = [rows[place] for place in np.argsort(places)]
    return np.concatenate(ordered), np.cumsum([0, *map(len, ordered)])


def _every_script() -> list[str]:
    """Letters, digits and signs of all scripts, in words and alone: what the run's first rows may lack."""
    signs = [sign for sign in map(chr, range(0xA1, 0x20000, 7)) if unicodedata.category(sign)[0] != "C"]
    return [" ".join(f"{a}{b}1 a{a}{b}" for a, b in pairwise(signs[at : at + 100])) for at in range(0, len(signs), 100)]


def _first_difference(one: Encoded, other: Encoded) -> int | None:
    """The first row that two engines encode differently; None if there is none."""
    pairs = zip(*(pairwise(starts) for _, starts in (one, other)), strict=True)
    return next(
        (row for row, (a, b) in enumerate(pairs) if not np.array_equal(one[0][slice(*a)], other[0][slice(*b)])), None
    )


def _fastokens(backend: Any) -> Encode:
    import fastokens

    engine = fastokens.Tokenizer.from_json_str(backend.to_str())

    def encode(texts: list[str]) -> Encoded:
        ids, starts = engine.encode_batch_flat(texts)
        return np.frombuffer(ids, dtype=np.uint32).view(np.int32), np.frombuffer(starts, dtype=np.uint64).view(np.int64)

    return encode


def _tokie(backend: Any) -> Encode:
    import tokie

    made: Any = tokie.Tokenizer
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tokenizer.json")
        path.write_text(backend.to_str(), encoding="utf-8")
        engine = made.from_json(str(path))

    def encode(texts: list[str]) -> Encoded:
        ids, lengths = engine.encode_batch_flat(texts, add_special_tokens=False)
        return ids.view(np.int32), np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))

    return encode


LOADERS: dict[str, Callable[[Any], Encode]] = {"fastokens": _fastokens, "tokie": _tokie}

"""Pieces: token ids and labels as text, cut where the model starts or stops learning."""

from collections.abc import Collection, Iterable
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from preflight.data.label import IGNORE


class Piece(NamedTuple):
    """Tokens that stand together.

    Attributes:
        text: What they decode to.
        supervised: Whether the model learns to write them.
        special: Whether this is one special token.
    """

    text: str
    supervised: bool
    special: bool = False


def pieces(ids: Iterable[int], labels: Iterable[int], backend: Any, special: Collection[int] = ()) -> list[Piece]:
    """An example's tokens as pieces; together their text is what all of the ids decode to.

    Args:
        ids: Token ids.
        labels: The ids to learn, -100 elsewhere.
        backend: The Rust tokenizer.
        special: Ids that are to be pieces of their own.
    """
    every = list(ids)
    kinds = [
        (label != IGNORE, place if token in special else -1)
        for place, (token, label) in enumerate(zip(every, labels, strict=True))
    ]
    stops = [0]
    runs = []
    for (supervised, place), run in groupby(kinds):
        stops.append(stops[-1] + len(list(run)))
        runs.append((supervised, place >= 0))
    texts = _texts(every, stops, backend)
    return [Piece(text, *kind) for text, kind in zip(texts, runs, strict=True) if text]


def _texts(ids: list[int], stops: list[int], backend: Any) -> list[str]:
    """What each run decodes to. Where a tokenizer writes the first token of a text without its space, each run is what
    it adds to the text before it."""
    parts = [ids[start:stop] for start, stop in pairwise(stops)]
    texts: list[str] = backend.decode_batch(parts, skip_special_tokens=False)
    if "".join(texts) == backend.decode(ids, skip_special_tokens=False):
        return texts
    upto = [backend.decode(ids[:stop], skip_special_tokens=False) for stop in stops]
    grows = all(after.startswith(before) for before, after in pairwise(upto))
    return [after[len(before) :] for before, after in pairwise(upto)] if grows else texts

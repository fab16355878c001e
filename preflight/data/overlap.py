"""Runs of words that texts have in common: which items of benchmarks stand in the training data.

A text of an item stands there if most of its runs of 13 words do, or all of its words if it has only 8 to 12. Runs that
many items share, such as instructions, say nothing about one of them and are left out.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from preflight.data.readers import Row

RUN, LEAST = 13, 8  # words
COMMON, COMMON_SHARE = 10, 0.1  # items that share a run which tells nothing: so many, or such a share of few
BATCH = 1024  # texts
TABLE = 1 << 22  # whether a run may be a known one is first asked by the low bits of its hash
UNSEEN = -1
# Scripts that put no space between words: each letter is one.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")

Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Match:
    """A text of a benchmark's item that stands in the training data.

    Attributes:
        item: The item's place among all items.
        row: The number of a training row that has some of it.
        share: The share of its runs that the training data has.
        text: Its beginning.
    """

    item: int
    row: int
    share: float
    text: str


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return WORD.findall(text.casefold())


def texts_of(row: Row) -> Iterator[str]:
    """Every text in a row, however deep it stands."""
    todo: list[Any] = [row.value]
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list):
            todo += value


def matches(
    items: Sequence[Iterable[str]], training: Iterable[tuple[int, str]], min_share: float
) -> tuple[int, list[Match]]:
    """The items that the training texts contain.

    Args:
        items: The texts of each item.
        training: The number and text of each training row.
        min_share: Share of a text's runs that must be there.

    Returns:
        How many items have a text that is long enough to judge, and the best match of each item that has one.
    """
    texts = [(item, text) for item, those in enumerate(items) for text in those]
    runs, owner, sizes = _runs_of([text for _, text in texts])
    item_of = np.array([item for item, _ in texts], dtype=np.int64)
    telling = ~_common(runs, item_of[owner], len(items))
    runs, owner = runs[telling], owner[telling]
    known, place = np.unique(runs, return_inverse=True)
    first = _first_rows(known, sizes, training)[place]
    total = np.bincount(owner, minlength=len(texts))
    share = np.bincount(owner, weights=first != UNSEEN, minlength=len(texts)) / np.maximum(total, 1)
    row_of = dict(zip(owner[first != UNSEEN].tolist(), first[first != UNSEEN].tolist(), strict=True))
    best: dict[int, Match] = {}
    for text in np.flatnonzero((total > 0) & (share >= min_share)).tolist():
        item, words_of_it = texts[text]
        if item not in best or best[item].share < share[text]:
            best[item] = Match(item, row_of[text], float(share[text]), words_of_it)
    return len(np.unique(item_of[owner])), list(best.values())


def _runs_of(texts: Sequence[str]) -> tuple[Hashes, Ints, list[int]]:
    """The runs of some texts, which text each is of, and the lengths of run that there are."""
    split = [words(text) for text in texts]
    by_size: dict[int, list[int]] = defaultdict(list)
    for text, those in enumerate(split):
        if len(those) >= LEAST:
            by_size[min(len(those), RUN)].append(text)
    runs, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for size, numbers in by_size.items():
        hashes, owner = _hashed(*_flat([split[number] for number in numbers]), size)
        runs.append(hashes)
        owners.append(np.array(numbers, dtype=np.int64)[owner])
    return np.concatenate(runs), np.concatenate(owners), sorted(by_size)


def _flat(texts: Sequence[list[str]]) -> tuple[Hashes, Ints]:
    """A hash of each word of some texts, and which text it is of."""
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    # Python's own hash of a text is the fastest there is, and need not be the same tomorrow.
    hashes = np.fromiter(map(hash, chain.from_iterable(texts)), np.int64, int(lengths.sum()))
    return hashes.view(np.uint64), np.repeat(np.arange(len(texts)), lengths)


def _hashed(word: Hashes, owner: Ints, size: int) -> tuple[Hashes, Ints]:
    """A hash of each run of so many words, and which text it is of."""
    count = max(len(word) - size + 1, 0)
    run = np.zeros(count, dtype=np.uint64)
    for step in range(size):  # products that overflow are meant to
        run ^= word[step : step + count]
        run *= np.uint64(0x9E3779B97F4A7C15)
        run ^= run >> np.uint64(29)
    inside = owner[:count] == owner[size - 1 :][:count]
    return run[inside], owner[:count][inside]


def _common(runs: Hashes, item: Ints, items: int) -> npt.NDArray[np.bool_]:
    """Which runs stand in so many items that they tell nothing of one."""
    if not len(runs):
        return np.zeros(0, dtype=bool)
    names, place = np.unique(runs, return_inverse=True)
    pairs = np.unique(place * items + item)
    spread = np.bincount(pairs // items, minlength=len(names))
    return np.asarray(spread > max(min(COMMON, COMMON_SHARE * items), 1))[place]


def _first_rows(known: Hashes, sizes: Sequence[int], training: Iterable[tuple[int, str]]) -> Ints:
    """For each known run the number of the first training row that has it, or UNSEEN."""
    first = np.full(len(known), UNSEEN, dtype=np.int64)
    if not len(known):
        return first
    low = np.uint64(TABLE - 1)
    table = np.zeros(TABLE, dtype=bool)
    table[known & low] = True
    rows = iter(training)
    while batch := list(islice(rows, BATCH)):
        numbers = np.array([number for number, _ in batch], dtype=np.int64)
        word, text = _flat([words(text) for _, text in batch])
        for size in sizes:
            hashes, owner = _hashed(word, text, size)
            likely = table[hashes & low]
            hashes, owner = hashes[likely], owner[likely]
            place = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            new = (known[place] == hashes) & (first[place] == UNSEEN)
            first[place[new][::-1]] = numbers[owner[new][::-1]]  # backwards: of several rows the first one stays
    return first

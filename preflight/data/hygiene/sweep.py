"""The pass: every example of a split looked at once, a batch at a time."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from preflight.config import Config
from preflight.data import source
from preflight.data.hygiene import answers, calls, language, markers, personal, residue, secrets
from preflight.data.hygiene.result import EXCERPTS, Hit, Hygiene
from preflight.data.hygiene.turn import LEARNED, Scan, Turn, turns_of
from preflight.data.passes import few_collections, with_bar
from preflight.data.readers import Row
from preflight.data.shapes import Example

BATCH = 2048  # rows; compiling the patterns costs the same for each batch

Told = Iterator[tuple[Turn, str, str, str]]  # the turn, the kind, the variety and an excerpt


def look(config: Config, rows: int, special: str, screen: IO[str] | None = None) -> Hygiene:
    """Look at the training split.

    Args:
        config: The run's config.
        rows: How many examples it has, about: decides which are asked for their language.
        special: A pattern for the special tokens of the run's tokenizer.
        screen: Where a bar shows how far it is, once that takes more than two seconds.
    """
    examples = with_bar(source.examples(config, "train"), "reading", screen, rows)
    with few_collections():
        return sweep(examples, scans(special), max(rows // language.SAMPLE, 1))


def scans(special: str) -> tuple[Scan, ...]:
    """The scans of single turns. `special` is a pattern for the special tokens of the run's tokenizer."""
    kinds = (residue.PLACEHOLDERS, residue.MOJIBAKE, residue.MARKUP, answers.BOILER, personal.PERSONAL)
    return (markers.scan(special), *kinds)


def sweep(examples: Iterator[tuple[int, Row, Example]], scans: Sequence[Scan], step: int) -> Hygiene:
    """Everything that is found in these examples; each `step`-th of them is asked for its language."""
    total = 0
    kinds: Counter[str] = Counter()
    varieties: defaultdict[str, Counter[str]] = defaultdict(Counter)
    kept: list[Hit] = []
    while batch := list(islice(examples, BATCH)):
        told: set[tuple[int, str, str]] = set()
        for turn, kind, what, text in _look_at(batch, scans, range(-total % step, len(batch), step)):
            key = (turn.place, kind, what)
            if key in told:
                continue
            told.add(key)
            varieties[kind][what] += 1
            if varieties[kind][what] <= EXCERPTS and text:
                number, row, _ = batch[turn.place]
                kept.append(Hit(number, row.where, kind, what, turn.at, _plain(text)))
        kinds.update(kind for _, kind in {(place, kind) for place, kind, _ in told})
        total += len(batch)
    kept.sort(key=lambda hit: hit.row)
    return Hygiene(total, dict(kinds), {kind: dict(counts) for kind, counts in varieties.items()}, kept)


def _look_at(batch: Sequence[tuple[int, Row, Example]], scans: Sequence[Scan], sample: range) -> Told:
    turns: list[Turn] = []
    for place, (_, _, example) in enumerate(batch):
        own = list(turns_of(place, example))
        turns += own
        yield from answers.look(own)
        if example.messages:
            yield from calls.look(own)
        if place in sample:
            yield from _language(own)
    suspects = _likely(
        turns, "|".join(f"(?:{pattern})" for pattern in (secrets.LIKELY, *(scan.likely for scan in scans)))
    )
    for scan in scans:
        for turn in _likely(suspects, scan.likely):
            if turn.role in scan.roles:
                for what, text in scan.find(turn):
                    yield turn, scan.kind, what, text
    yield from secrets.look(_likely(suspects, secrets.LIKELY))


def _language(turns: Sequence[Turn]) -> Told:
    """The language of an example's last answer: not a fault, but counted like one."""
    spoken = [turn for turn in turns if turn.role in LEARNED]
    code = language.of(spoken[-1].text) if spoken else None
    if code is not None:
        yield spoken[-1], "language", code, spoken[-1].text[:100]


def _likely(turns: Sequence[Turn], pattern: str) -> list[Turn]:
    """The turns whose text matches a pattern (RE2), all asked at once."""
    texts = [turn.text for turn in turns]
    try:
        column = pa.array(texts, pa.large_string())
    except UnicodeEncodeError:  # half a surrogate pair
        column = pa.array(list(map(_plain, texts)), pa.large_string())
    return [turns[at] for at in pc.indices_nonzero(pc.match_substring_regex(column, pattern)).to_pylist()]


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()

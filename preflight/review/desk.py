"""What a reviewer sits at: the drawn rows, and the record that every verdict goes to at once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from preflight.config import Config
from preflight.data import source, store
from preflight.data.readers import Row
from preflight.data.shapes import Example
from preflight.data.store import Prepared
from preflight.model.tokenizer import Tokenizer
from preflight.review import record, sample
from preflight.review.record import Opinion, Record, Verdict
from preflight.review.view import View, view


@dataclass(frozen=True, slots=True)
class Item:
    """A drawn row.

    Attributes:
        row: As it stands in the file.
        example: In normal form.
        prepared: Its `input_ids` and `labels`.
        facts: Its row of the profile.
    """

    row: Row
    example: Example
    prepared: dict[str, Any]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Desk:
    """One reviewer's sitting.

    Attributes:
        config: The run's config.
        reviewer: Who is reviewing.
        path: The record's file.
        lock: Held while it is changed, so that several reviewers can sit at once.
        empty: The record before anything was said.
        items: The drawn rows by their numbers.
        tokenizer: The run's tokenizer.
    """

    config: Config
    reviewer: str
    path: Path
    lock: Path
    empty: Record
    items: Mapping[int, Item]
    tokenizer: Tokenizer

    @property
    def order(self) -> tuple[int, ...]:
        """The numbers of the drawn rows, in the order of the draw."""
        return self.empty.sample

    def record(self) -> Record:
        """The record as it stands, with this sample; an empty one if there is none of this data.

        Raises:
            record.RecordError: it can't be read.
        """
        found = record.load(self.path)
        if found is None or found.data.digest != self.empty.data.digest:
            return self.empty
        drawn = max(found.sample, self.order, key=len)  # another reviewer may have drawn more meanwhile
        return found.model_copy(update={"data": self.empty.data, "sample": drawn})

    def say(self, row: int, verdict: Opinion | None, comment: str) -> None:
        """Write down what the reviewer says about a row. A record of other data is moved aside, not overwritten."""
        with FileLock(self.lock):
            found = record.load(self.path)
            same = found is not None and found.data.digest == self.empty.data.digest
            if found is not None and same and found.seed != self.empty.seed:
                raise record.RecordError(
                    f"it was begun with seed {found.seed} meanwhile; run preflight review again, without --seed"
                )
            if found is not None and not same:
                self.path.replace(self.path.with_suffix(f".{datetime.now():%Y%m%d-%H%M%S}.json"))
            where, now = self.items[row].facts["where"], datetime.now(UTC).replace(microsecond=0)
            said = Verdict(row=row, where=where, verdict=verdict, comment=comment, at=now)
            record.save(record.give(self.record(), self.reviewer, said), self.path)

    def said(self, row: int) -> tuple[Verdict | None, list[tuple[str, Verdict]]]:
        """What the reviewer has said about a row, and what others have."""
        every = [(who, verdict) for who, verdict in self.record().said() if verdict.row == row]
        mine = next((verdict for who, verdict in every if who == self.reviewer), None)
        return mine, [(who, verdict) for who, verdict in every if who != self.reviewer]

    def next_place(self, after: int = 0) -> int | None:
        """The place, from 1, of the next row that no one has judged, from a place on and then from the start."""
        judged = self.record().judged
        left = [place for place, row in enumerate(self.order, 1) if row not in judged]
        return next((place for place in left if place > after), left[0] if left else None)

    def view(self, row: int) -> View:
        item = self.items[row]
        return view(item.example, item.prepared, item.facts, self.tokenizer, store.rules_of(self.config))

    def as_written(self, row: int) -> str:
        """The row as it stands in the file, as JSON."""
        return json.dumps(self.items[row].row.value, ensure_ascii=False, indent=2, default=str)


def open_desk(
    config: Config, prepared: Prepared, tokenizer: Tokenizer, *, reviewer: str, count: int, seed: int | None
) -> Desk:
    """Draw the sample, or take up the one that the record is about.

    Args:
        config: The run's config.
        prepared: Its prepared data.
        tokenizer: The run's tokenizer.
        reviewer: Who is reviewing.
        count: How many rows to draw; the record's own number if that is larger.
        seed: What to draw by; by default the record's seed, or 0.

    Raises:
        record.RecordError: the record can't be read, or has another seed.
    """
    path = record.path_of(config)
    found, data = record.load(path), sample.data_of(config, prepared)
    if found is not None and found.data.digest == data.digest:
        if seed not in (None, found.seed):
            raise record.RecordError(
                f"its sample was drawn with seed {found.seed}. Leave --seed out to go on with it: "
                "a choice among samples would not be random"
            )
        seed, count = found.seed, max(count, len(found.sample))
    drawn = sample.draw(data, seed or 0, sample.rows_of(config, prepared), count)
    empty = record.Record(data=data, seed=seed or 0, sample=tuple(drawn))
    lock = config.artefacts("preflight") / ".review.lock"
    items = _items(config, prepared, set(drawn))
    return Desk(config, reviewer, path, lock, empty, items, tokenizer)


def _items(config: Config, prepared: Prepared, wanted: set[int]) -> dict[int, Item]:
    normal = source.normaliser(config)
    found: dict[int, Item] = {}
    for split in sample.splits(config, prepared):
        drawn = split.profile[split.profile["row"].isin(wanted)]
        facts = {int(fact["row"]): fact for fact in drawn.to_dict("records")}
        places = dict(zip(facts, map(int, drawn.index), strict=True))
        for number, row in source.rows(config, split.name):
            if number in facts and isinstance(row, Row):
                found[number] = Item(row, normal(row), split.examples[places[number]], facts.pop(number))
            if not facts:
                break
    return found

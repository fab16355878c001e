"""What the hygiene pass found, kept beside the prepared data of its split."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from preflight.findings import Finding, counted

VERSION = 1  # raise it whenever the same text would be judged otherwise
NAME = "hygiene.parquet"
EXCERPTS = 40  # of one kind and variety; counts are of all rows
PLACES = 5  # rows that a finding names

HITS = pa.schema(
    [
        ("row", pa.int64()),  # index among all rows of the split's files
        ("where", pa.string()),  # file:line
        ("kind", pa.string()),
        ("what", pa.string()),  # which variety of the kind
        ("turn", pa.int32()),  # index of the message
        ("text", pa.string()),  # an excerpt; secrets and personal data are masked
    ]
)


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where something was found: the columns of HITS."""

    row: int
    where: str
    kind: str
    what: str
    turn: int
    text: str


@dataclass(frozen=True)
class Hygiene:
    """What the pass over a split found.

    Attributes:
        rows: Rows that were looked at.
        kinds: Rows with a kind of fault, by kind.
        varieties: Rows with a variety of it, by kind and variety.
        found: The first EXCERPTS places of each kind and variety, in the order of the rows.
    """

    rows: int
    kinds: Mapping[str, int]
    varieties: Mapping[str, Mapping[str, int]]
    found: Sequence[Hit]

    def count(self, kind: str, *what: str) -> int:
        """Rows with this kind of fault; with names, the sum of these varieties."""
        return sum(self.varieties.get(kind, {}).get(name, 0) for name in what) if what else self.kinds.get(kind, 0)

    def hits(self, kind: str, *what: str) -> list[Hit]:
        """The first places with this kind of fault, or with these varieties of it."""
        return [hit for hit in self.found if hit.kind == kind and (not what or hit.what in what)]

    def exceeds(self, share: float, kind: str, *what: str, least: int = 2) -> bool:
        """Whether more than this share of the rows have it, and at least so many: one row may be a text about it."""
        return self.count(kind, *what) > share * self.rows and self.count(kind, *what) >= least

    def evidence(self, kind: str, words: str) -> tuple[str, dict[str, object]]:
        """A few words, and values, for the evidence: `3 of 999 rows with …`."""
        seen = {"rows": self.count(kind), "of": self.rows, "kinds": self.varieties.get(kind, {})}
        return f"{self.count(kind):,} of {counted(self.rows, 'row')} {words}", seen

    def finding(self, kind: str, *what: str, message: str, expected: str, why: str, fix: str) -> Finding:
        """One finding about all rows with this kind of fault: how many, the first places, an excerpt of each variety.

        Args:
            kind: The kind of fault.
            what: Only these varieties.
            message: What is wrong with the rows, as what follows on their number: `hold a placeholder`.
            expected: What was expected.
            why: What happens to the run.
            fix: What to do; `{rows}` in it becomes `these 3 rows`.
        """
        hits, rows = self.hits(kind, *what), self.count(kind, *what)
        first = {hit.what: hit for hit in reversed(hits)}.values()
        shown = sorted(first, key=lambda hit: -self.varieties[kind][hit.what])[:3]
        named = {hit.where for hit in shown}
        others = [where for where in dict.fromkeys(hit.where for hit in hits) if where not in named][:PLACES]
        texts = [hit.text if hit is shown[0] else f"{hit.where}: {hit.text}" for hit in shown]
        return Finding(
            f"{rows:,} of {counted(self.rows, 'row')} {message} ({rows / max(self.rows, 1):.1%})",
            where=shown[0].where if shown else None,
            observed="; ".join([*texts, *([f"also {', '.join(others)}"] if others else [])]),
            expected=expected,
            why=why,
            fix=fix.format(rows=f"these {rows:,} rows" if rows > 1 else "this row"),
        )


def write(hygiene: Hygiene, folder: Path) -> None:
    """Keep it; whole or not at all."""
    known = {"version": VERSION, "rows": hygiene.rows, "kinds": hygiene.kinds, "varieties": hygiene.varieties}
    schema = HITS.with_metadata({"preflight": json.dumps(known)})
    columns: Iterable[tuple[object, ...]] = zip(*map(astuple, hygiene.found), strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=False)]
    table = pa.table(arrays, schema=schema) if arrays else schema.empty_table()
    temporary = folder / f".{NAME}.{os.getpid()}"
    pq.write_table(table, temporary)
    temporary.replace(folder / NAME)


def read(folder: Path) -> Hygiene | None:
    """What was kept there; None if there is nothing, or what another version found."""
    try:
        table = pq.read_table(folder / NAME)
        known = json.loads(table.schema.metadata[b"preflight"])
        if known["version"] != VERSION:
            return None
        return Hygiene(known["rows"], known["kinds"], known["varieties"], [Hit(**hit) for hit in table.to_pylist()])
    except (OSError, ValueError, KeyError, TypeError):  # not there, or damaged: it is made anew
        return None

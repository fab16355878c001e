from collections.abc import Iterator, Mapping
from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data import slices
from preflight.data.slices import Slice
from preflight.data.store import Prepared, Split
from preflight.findings import counted
from preflight.fixtures import Evidence


@check(
    "DATA-112",
    "edge-cases",
    severity="recommended",
    section=1,
    item="Edge cases: included examples for edge cases",
    thresholds={"min_rows": 1},
)
def the_declared_edge_cases_are_in_the_data(
    config: Config, prepared: Prepared, train: Split, evidence: Evidence, limits: Any
) -> None:
    """The edge cases that `data.slices` declares are in the training data, and in the validation data too.

    What it checks: Each declared slice has rows in both splits. The evidence counts them, and besides: short and long
    answers (below a quarter of the median, above four times), scripts other than Latin, code, several turns, system
    prompts, tools, empty input, and answers that decline. None of these must be there, since only you know what your
    users ask.
    Why it matters: What the model never saw it does by chance, and what validation lacks nobody notices.
    How to fix: Add examples of the slice, to both splits. Declare edge cases as
    `data.slices: {refunds: "refund|money back", french: {language: fr}}`.
    Evidence: the checklist. One row of a slice is the least that makes it present.
    """
    present = {name: int(find(train.profile).sum()) for name, find in slices.AUTOMATIC.items()}
    splits = [split for split in prepared.splits.values() if split.rows]
    declared = {split.name: slices.declared(config, split.name) for split in splits}
    counts = {split: {name: one.rows for name, one in found.items()} for split, found in declared.items()}
    told = [f"{name} {count}" for name, count in {**counts["train"], **present}.items() if count]
    evidence(", ".join(told) or "none of those that are counted", automatic=present, declared=counts)
    report_findings(_absent(declared, config, limits.min_rows))


def _absent(declared: Mapping[str, Mapping[str, Slice]], config: Config, least: int) -> Iterator[Finding]:
    for name in config.data.slices:
        few = {split: found[name] for split, found in declared.items() if found[name].rows < least}
        if not few:
            continue
        key = f"data.slices.{name}"
        columns = " or ".join(dict.fromkeys(column for one in few.values() for column in one.missing))
        told = " and ".join(
            f"{counted(one.rows, 'row') if one.rows else 'no row'} in {split}" for split, one in few.items()
        )
        yield Finding(
            f"the slice {name!r} has {told}",
            where=config.where(key),
            expected=f"at least {least} each",
            why="What the model never saw it does by chance; what validation lacks nobody notices.",
            fix=f"Correct {key}: no row has a column {columns}."
            if columns
            else f"Add examples of it to {' and '.join(few)}.",
        )

import math
from collections.abc import Iterator
from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.store import Prepared, Split
from preflight.findings import counted
from preflight.findings import places as listed
from preflight.fixtures import Evidence
from preflight.review import record, sample
from preflight.review.record import Data, Record, RecordError

SHOWN = 10  # rows that a finding names
WHY = "Only a reader sees that an answer is wrong, or answers another question; the model learns to write it."


@check(
    "DATA-110",
    "manual-review",
    severity="recommended",
    section=1,
    item="Quality review: manually reviewed 50-100 random samples",
    thresholds={"min_reviewed": 50, "max_rejected": 0.1},
)
def someone_has_reviewed_a_random_sample_of_the_data(
    config: Config, prepared: Prepared, train: Split, evidence: Evidence, limits: Any
) -> None:
    """Someone has looked at a random sample of this data and found it good.

    What it checks: The record of `preflight review`, a file beside the config (`data.review` names another). It must be
    of the present data, whatever the other settings; its rows must be those that its seed draws, since a sample chosen
    by hand says nothing about the rest; at least `min_reviewed` of them (all, if the data has fewer) and half of what
    was drawn must have a verdict; and at most the share `max_rejected` of them may be rejected by anyone. What
    `data.validation_split` holds out counts as the same data.
    Why it matters: No check sees that an answer is wrong, in the wrong tone, or about something else. The model learns
    to write it.
    How to fix: Run `preflight review config.yaml`, which draws 50 rows and shows what the model will learn of each.
    Commit the record with the config.
    Evidence: the checklist, which asks for 50 to 100. By Wilson's 95 % interval fewer than 1 row in 14 is bad if none
    of 50 is rejected, and more than 1 in 20 if 6 are; hence `max_rejected`, which allows 5.
    """
    path = record.path_of(config)
    try:
        found = record.load(path)
    except RecordError as error:
        evidence("the record can't be read")
        fix = f"Restore {path.name} from version control, or delete it and run preflight review {config.path.name}."
        report_findings([Finding(f"the record of the review can't be read: {error}", path.name, why=WHY, fix=fix)])
        return
    people = [review.reviewer for review in found.reviews] if found else []
    evidence(record.summary(found), reviewed=len(found.judged) if found else 0, by=people)
    present = sample.data_of(config, prepared)
    needed = min(int(limits.min_reviewed), present.rows)
    if found is None or found.data.digest != present.digest:
        report_findings([_not_of_this_data(found, present, needed, config)])
        return
    drawn = sample.draw(present, found.seed, sample.rows_of(config, prepared), len(found.sample))
    needed = max(needed, math.ceil(len(drawn) / 2))  # or which of them were looked at was a choice
    reviewed = found.judged.intersection(drawn)
    report_findings(
        [
            *_strangers(found, drawn, path.name),
            *_too_few(len(reviewed), needed, len(drawn), config),
            *_rejected(found, reviewed, limits.max_rejected),
        ]
    )


def _not_of_this_data(found: Record | None, present: Data, needed: int, config: Config) -> Finding:
    name = record.path_of(config).name
    fix = f"Run preflight review {config.path.name} and look at {counted(needed, 'row')}."
    if found is None:
        return Finding(
            "nobody has reviewed a sample of the training data",
            where=config.where("data.train"),
            observed=f"no {name}",
            expected=f"{needed} of {counted(present.rows, 'row')} reviewed",
            why=WHY,
            fix=fix,
        )
    return Finding(
        f"the review is of other data: {'; '.join(record.differences(found.data, present))}",
        where=name,
        observed=record.summary(found),
        why="What was reviewed is not what the model will learn.",
        fix=fix,
    )


def _too_few(reviewed: int, needed: int, drawn: int, config: Config) -> Iterator[Finding]:
    if reviewed < needed:
        yield Finding(
            f"too few rows are reviewed: {reviewed} of {drawn} drawn",
            where=record.path_of(config).name,
            observed=str(reviewed),
            expected=f"at least {needed}",
            why=WHY,
            fix=f"Run preflight review {config.path.name} and look at {counted(needed - reviewed, 'more row')}.",
        )


def _strangers(found: Record, drawn: list[int], name: str) -> Iterator[Finding]:
    places = [verdict.where for _, verdict in found.said() if verdict.verdict and verdict.row not in drawn]
    if places:
        yield Finding(
            f"{counted(len(places), 'verdict')} of rows that the seed {found.seed} does not draw",
            where=name,
            observed=listed(places, SHOWN),
            why="A sample chosen by hand says nothing about the other rows.",
            fix=f"Take them out of {name}; preflight review draws the rows itself.",
        )


def _rejected(found: Record, reviewed: set[int], limit: float) -> Iterator[Finding]:
    rejected = {row: said for row, said in found.rejected.items() if row in reviewed}
    if len(rejected) > limit * len(reviewed):
        share = len(rejected) / len(reviewed)
        yield Finding(
            f"rejected: {len(rejected)} of {counted(len(reviewed), 'reviewed row')}",
            where=next(iter(rejected.values()))[0][1].where,
            observed=listed([_told(said) for said in rejected.values()], SHOWN),
            expected=f"at most {limit:.0%}",
            why=f"About {share:.0%} of all rows are likely to be as bad, and the model learns to write them.",
            fix="Correct or delete these rows and all like them, then review a sample of the new data.",
        )


def _told(said: list[tuple[str, record.Verdict]]) -> str:
    comments = [f"{who}: {verdict.comment}" if verdict.comment else who for who, verdict in said]
    return f"{said[0][1].where} ({'; '.join(comments)})"

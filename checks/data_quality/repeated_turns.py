from typing import Any

from preflight import check, report_findings
from preflight.data.hygiene import Hygiene
from preflight.fixtures import Evidence


@check(
    "DATA-129",
    "no-repetition",
    severity="recommended",
    section=1,
    item="Quality review: manually reviewed 50-100 random samples",
    thresholds={"max_fraction": 0.01},
)
def nothing_is_said_over_and_over(hygiene: Hygiene, evidence: Evidence, limits: Any) -> None:
    """Nothing is said over and over within an example.

    What it checks: Conversations in which the user or the assistant says the same 40 characters or more twice, and
    answers in which the same words stand four times and more in a row. Verse, tables and tasks to repeat something are
    left out.
    Why it matters: Models run into loops by themselves. Examples of it make that more likely.
    How to fix: Drop the rows, or cut the answers before the loop. A turn that stands twice often comes from joining
    tables.
    Evidence: data-juicer filters by the share of repeated words (word_repetition_filter); tloen/alpaca-lora#467 shows
    such a model. Threshold: 1 % of the rows, and one row is always allowed.
    """
    turns, loops = hygiene.count("repeat"), hygiene.count("loop")
    evidence(f"{turns:,} rows with a turn said twice, {loops:,} with a loop", repeated=turns, loops=loops)
    why = "The model learns to run in circles."
    report_findings(
        hygiene.finding(kind, message=message, expected="each thing said once", why=why, fix=fix)
        for kind, message, fix in (
            ("repeat", "hold the same turn twice", "Drop the second turn of {rows}."),
            ("loop", "have an answer that runs in a loop", "Cut the answers of {rows} before the loop, or drop them."),
        )
        if hygiene.exceeds(limits.max_fraction, kind)
    )

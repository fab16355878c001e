from typing import Any

from preflight import Finding, check, report_findings
from preflight.data import copies
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence


@check(
    "DATA-107",
    "no-near-duplicates",
    severity="recommended",
    section=1,
    item="No duplicates: deduplicated dataset",
    thresholds={"max_fraction": 0.05},
)
def hardly_any_example_is_nearly_another(train: Split, evidence: Evidence, limits: Any) -> None:
    """Hardly any training example is nearly the same as another.

    What it checks: Examples that differ from an earlier one in nothing but spaces and capitals, or that share at least
    80 % of their runs of five tokens with it (MinHash), and as much of the answer. Where that is too short to compare
    it must be the same, and the prompts begin and end alike, so that several questions on one text are no duplicates.
    Runs that a tenth of all rows share, such as a fixed instruction, don't count. Equal examples are DATA-104's.
    Why it matters: To the model they are copies: it learns them by heart, and they crowd out the others.
    How to fix: Look at the named pairs, and keep one of each that says nothing new.
    Evidence: deepchecks takes up to 5 % of repeated texts as normal; data-juicer drops near duplicates by MinHash.
    """
    found = copies.near(train)
    share = len(found) / train.rows
    evidence(
        f"{counted(len(found), 'near duplicate')}, {share:.1%}",
        near=len(found),
        share=share,
        pairs=copies.listed(found),
    )
    if share <= limits.max_fraction:
        return
    why = "To the model they are copies: it learns them by heart."
    report_findings(
        copies.findings(
            found,
            Finding("nearly the same example as {original}", why=why, fix="Delete one of them if it says nothing new."),
            Finding(
                f"{len(found):,} of {train.rows:,} examples are nearly the same as earlier ones",
                observed=f"{share:.1%}",
                expected=f"at most {limits.max_fraction:.0%}",
                why=why,
                fix=f"Compare the pairs, and delete up to {len(found):,} rows that say nothing new.",
            ),
        )
    )

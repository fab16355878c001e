from typing import Any

from preflight import Finding, check, report_findings
from preflight.data.store import Split
from preflight.fixtures import Evidence


@check(
    "DATA-104",
    "no-duplicates",
    severity="recommended",
    section=1,
    item="No duplicates: deduplicated dataset",
    thresholds={"max_fraction": 0.01},
)
def no_example_stands_twice(train: Split, evidence: Evidence, limits: Any) -> None:
    """No training example stands twice.

    What it checks: Rendered examples that are equal, character by character.
    Why it matters: Each copy is another epoch on that row: the model learns it by heart.
    How to fix: Drop the copies; the finding names each with its original.
    Evidence: the checklist; deepchecks' default allows 5 %, preflight 1 %, since repeated chat examples are rarely
    meant.
    """
    profile = train.profile
    copies = profile[profile.duplicated("example_hash")]
    share = len(copies) / len(profile)
    evidence(f"{len(copies)} copies, {share:.1%}", copies=len(copies), share=share)
    if share <= limits.max_fraction:
        return
    originals = profile.drop_duplicates("example_hash").set_index("example_hash")["where"]
    report_findings(
        Finding(
            f"the same example as {originals[row.example_hash]}",
            where=row.where,
            why="Each copy is another epoch on that example.",
            fix="Delete this row.",
        )
        for row in copies.itertuples()
    )

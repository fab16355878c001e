from typing import Any

from preflight import Finding, check, report_findings
from preflight.data import copies
from preflight.data.expectations import Expected
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence


def _examples_are_unique(limits: Any) -> list[Any]:
    import great_expectations.expectations as gxe

    least = 1 - limits.max_fraction
    return [
        gxe.ExpectColumnProportionOfUniqueValuesToBeBetween(
            column="example_hash", min_value=least, meta={"claim": f"at least {least:.0%} of the examples are unique"}
        )
    ]


@check(
    "DATA-104",
    "no-duplicates",
    severity="recommended",
    section=1,
    item="No duplicates: deduplicated dataset",
    thresholds={"max_fraction": 0.01},
    expect=_examples_are_unique,
)
def no_example_stands_twice(train: Split, expected: list[Expected], evidence: Evidence, limits: Any) -> None:
    """No training example stands twice.

    What it checks: Rendered examples that are equal, character by character.
    Why it matters: Each copy is another epoch on that row: the model learns it by heart.
    How to fix: Drop the copies; the finding names them with their originals, and says which example is repeated most.
    Evidence: the checklist. deepchecks' default allows 5 %, preflight 1 %, since repeated chat examples are rarely
    meant; from 10 % on the number of epochs no longer means what it says.
    """
    found = copies.equal(train.profile)
    share = len(found) / train.rows
    evidence(
        f"{counted(len(found), 'repeated row')}, {share:.1%}",
        copies=len(found),
        share=share,
        pairs=copies.listed(found),
    )
    if expected[0].met:
        return
    most = found["original"].value_counts()
    why = "Each copy is another epoch on that example: the model learns it by heart."
    report_findings(
        copies.findings(
            found,
            Finding("the same example as {original}", why=why, fix="Delete this row."),
            Finding(
                f"{len(found):,} of {train.rows:,} examples are copies of earlier ones",
                observed=f"{share:.1%}; {most.index[0]} stands {most.iloc[0] + 1:,} times",
                expected=f"at most {limits.max_fraction:.0%}",
                why=why,
                fix=f"Delete {len(found):,} rows; {train.rows - len(found):,} different examples stay.",
            ),
        )
    )

from typing import Any

from preflight import Finding, check, report_findings
from preflight.data.store import Split
from preflight.fixtures import Evidence


@check(
    "DATA-150",
    "expectations-met",
    severity="recommended",
    section=1,
    item="Length analysis: checked input and output token distributions",
)
def the_profile_meets_its_expectations(expectations: list[dict[str, Any]], train: Split, evidence: Evidence) -> None:
    """The profile of the training data meets a Great Expectations suite.

    What it checks: Lengths, supervised tokens and uniqueness of examples and prompts, as distributions over all rows.
    Suite and result are kept as `expectations.json` and `expectations-result.json` beside the report.
    Why it matters: What single rows hide shows in the distribution: a column of empty answers, one prompt repeated.
    How to fix: Each finding says which expectation failed, what was observed, and which rows to look at.
    Evidence: the expectations are listed in `preflight/data/expectations.py` with their reasons.
    """
    met = sum(result["success"] for result in expectations)
    evidence(f"{met} of {len(expectations)} expectations met", expectations=expectations)
    places = train.profile.set_index("row")["where"]
    report_findings(
        Finding(
            f"not so: {result['claim']}",
            where=places.get(result["rows"][0]) if result["rows"] else None,
            observed=f"{result['unexpected']} rows" if result["rows"] else str(result["observed"]),
            why=result["why"],
            fix=result["fix"],
        )
        for result in expectations
        if not result["success"]
    )

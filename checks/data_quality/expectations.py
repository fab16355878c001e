from collections.abc import Mapping
from typing import Any

from preflight import check, report_findings
from preflight.data.expectations import Expected, unmet
from preflight.fixtures import Evidence


def _sound_lengths(limits: Any) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectColumnValuesToBeBetween(
            column="kept",
            min_value=limits.min_tokens,
            meta={
                "claim": f"examples have at least {limits.min_tokens} tokens",
                "why": "A one-token example has no next token to predict.",
                "fix": "Drop empty rows.",
            },
        ),
        gxe.ExpectColumnMedianToBeBetween(
            column="supervised",
            min_value=limits.min_typical_answer,
            meta={
                "claim": "the typical answer has more than its end-of-turn token",
                "why": "If most answers are empty the model learns to stop at once.",
                "fix": "Check that the answers are in the column that the shape expects.",
            },
        ),
    ]


@check(
    "DATA-150",
    "expectations-met",
    severity="recommended",
    section=1,
    item="Length analysis: checked input and output token distributions",
    thresholds={"min_tokens": 2, "min_typical_answer": 2},
    expect=_sound_lengths,
)
def the_profile_meets_its_expectations(
    expectations: Mapping[str, list[Expected]], expected: list[Expected], profile: Any, evidence: Evidence
) -> None:
    """The profile of the training data meets a Great Expectations suite.

    What it checks: That examples have tokens to predict, and that the typical answer has more than its end. The suite
    also holds what other checks expect of the profile, and they report it; this check counts all of it. Suite and
    result are kept as `expectations.json` and `expectations-result.json` beside the report, and as a site in
    `data-docs` with `gate.data_docs: true`.
    Why it matters: What single rows hide shows in the distribution, such as a column of empty answers.
    How to fix: The finding says which expectation failed, what was observed, and which row to look at first.
    Evidence: axolotl-ai-cloud/axolotl#290 (empty answers). Thresholds: one token to read and one to predict; a typical
    answer of more than its end-of-turn token.
    """
    results = [(code, one) for code, those in expectations.items() for one in those]
    unmet_of = sorted({code for code, one in results if not one.met})
    evidence(
        f"{sum(one.met for _, one in results)} of {len(results)} expectations met"
        + (f"; see {', '.join(unmet_of)}" if unmet_of else ""),
        expectations=[
            {"check": code, "claim": one.claim, "met": one.met, "observed": one.observed, "unexpected": one.unexpected}
            for code, one in results
        ],
    )
    report_findings(unmet(expected, profile))

from typing import Any

from preflight import check, report_findings
from preflight.data.hygiene import Hygiene
from preflight.fixtures import Evidence


@check(
    "DATA-124",
    "no-placeholders",
    severity="recommended",
    section=1,
    item="Quality review: manually reviewed 50-100 random samples",
    thresholds={"max_fraction": 0.001},
)
def no_answer_holds_a_placeholder(hygiene: Hygiene, evidence: Evidence, limits: Any) -> None:
    """No answer holds a placeholder that was never filled in.

    What it checks: `{{name}}`, `[INSERT …]`, `<YOUR NAME>` and lorem ipsum in answers and system prompts; answers that
    are nothing but `TBD`, `nan` or `{variable}`. Code is left out, and so are answers to questions about templates,
    code, letters and the like, which have blanks by right.
    Why it matters: The model says it as it stands: "I am {{name}}, developed by {{author}}."
    How to fix: Fill them in, or drop the rows.
    Evidence: LLaMA-Factory's example data `identity.json` comes with `{{name}}` and `{{author}}` in 85 of its 91
    answers. Threshold: 0.1 % of the rows, and one row is always allowed.
    """
    summary, seen = hygiene.evidence("placeholder", "with a placeholder")
    evidence(summary, **seen)
    if hygiene.exceeds(limits.max_fraction, "placeholder"):
        report_findings(
            [
                hygiene.finding(
                    "placeholder",
                    message="hold a placeholder",
                    expected="the text that belongs there",
                    why="The model says the placeholder as it stands.",
                    fix="Fill in the placeholders of {rows}, or drop them.",
                )
            ]
        )

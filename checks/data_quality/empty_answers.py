from typing import Any

from preflight import check, report_findings
from preflight.data.hygiene import Hygiene
from preflight.fixtures import Evidence


@check(
    "DATA-120",
    "answers-not-empty",
    severity="required",
    section=1,
    item="Quality review: manually reviewed 50-100 random samples",
    thresholds={"max_fraction": 0.001},
)
def hardly_any_turn_is_empty(hygiene: Hygiene, evidence: Evidence, limits: Any) -> None:
    """Hardly any answer is empty, and hardly any question.

    What it checks: Answers to learn that hold nothing but spaces, neither text nor tool calls nor reasoning; and users'
    turns without text. An empty `input` of alpaca rows is as it should be, and so is an empty prompt of plain text.
    Why it matters: An empty answer has one supervised token, the end of the turn: the model learns to say nothing. An
    empty question has an answer to nothing. If many are empty, the text is in a column that isn't read.
    How to fix: Drop the rows or write the answers; look at the first of them in the file to see where the text went.
    Evidence: axolotl-ai-cloud/axolotl#290, axolotl-ai-cloud/axolotl#1731, tloen/alpaca-lora#32 (empty answers in the
    original Alpaca data). Threshold: 0.1 % of the rows.
    """
    summary, seen = hygiene.evidence("empty", "with an empty turn")
    evidence(summary, **seen)
    report_findings(
        hygiene.finding("empty", what, message=f"have an empty {what}", expected="text", why=why, fix=fix)
        for what, why, fix in (
            ("answer", "The model learns to say nothing.", "Drop {rows}, or write the answers."),
            (
                "question",
                "The model learns an answer to nothing.",
                "Drop {rows}, or look in which column the question is.",
            ),
        )
        if hygiene.exceeds(limits.max_fraction, "empty", what, least=1)
    )

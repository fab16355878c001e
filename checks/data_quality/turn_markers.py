from typing import Any

from preflight import check, report_findings
from preflight.data.hygiene import Hygiene
from preflight.fixtures import Evidence


@check(
    "DATA-123",
    "no-turn-markers",
    severity="recommended",
    section=1,
    item="Format consistency: all examples follow an identical template",
    thresholds={"max_fraction": 0.001},
)
def no_message_holds_the_marker_of_a_turn(hygiene: Hygiene, evidence: Evidence, limits: Any) -> None:
    """No message holds the marker of a turn as text.

    What it checks: Control tokens of chat formats (`<|im_start|>`, `[INST]`, `<start_of_turn>`, …) outside of code;
    messages that open with their own speaker (`Assistant:`, `### Response:`); and a `Human:` or `### Instruction:`
    behind an answer. Dialogues, texts about prompts and plain text in a format by hand (TOK-116) are left out, and so
    are the special tokens of your own tokenizer (TOK-115).
    Why it matters: The template writes who speaks. The model learns to write it as well: it prints `### Response:`
    before its answers, or goes on after them with a question of its own.
    How to fix: Remove the markers; split an answer that goes on with the next question into turns.
    Evidence: huggingface/trl#1449 and oobabooga/textgen#1478 (models that go on with questions and answers of their
    own). Threshold: 0.1 % of the rows, and one row is always allowed: a text about chat formats may hold one.
    """
    summary, seen = hygiene.evidence("marker", "with the marker of a turn")
    evidence(summary, **seen)
    if hygiene.exceeds(limits.max_fraction, "marker"):
        report_findings(
            [
                hygiene.finding(
                    "marker",
                    message="hold the marker of a turn as text",
                    expected="what is said; the template writes who says it",
                    why="The model learns to print the markers, or to go on with a turn of the user.",
                    fix="Remove the markers from {rows}, or split them into turns.",
                )
            ]
        )

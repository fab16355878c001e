from typing import Any

from preflight import check, report_findings
from preflight.data.hygiene import Hygiene
from preflight.fixtures import Evidence


@check(
    "DATA-128",
    "no-assistant-speak",
    severity="recommended",
    section=1,
    item="Quality review: manually reviewed 50-100 random samples",
    thresholds={"max_fraction": 0.005},
)
def answers_are_not_those_of_another_assistant(hygiene: Hygiene, evidence: Evidence, limits: Any) -> None:
    """Answers don't speak as the assistant that wrote them.

    What it checks: Answers with "As an AI language model", "I am ChatGPT" and the like, with a knowledge cutoff, or
    that open by refusing: "I'm sorry, but I can't assist with that".
    Why it matters: They are left over from the model that generated the data. Yours learns to refuse what it could do,
    to tell a name that isn't its own, and a date that isn't true.
    How to fix: Drop the rows or write the answers anew. If refusals are meant, set the share that you expect:
    `gate.thresholds: {DATA-128: {max_fraction: 0.1}}`.
    Evidence: nlpxucan/WizardLM#4 (a model that very often writes it, learned from such data),
    TelecomsXChangeAPi/OpenTextShield#194. Threshold: 0.5 % of the rows, and one row is always allowed. To block from
    5 % on, set the threshold to 0.05 and make the check required (`gate.severity`).
    """
    summary, seen = hygiene.evidence("boilerplate", "that speak as an AI")
    evidence(summary, **seen)
    if hygiene.exceeds(limits.max_fraction, "boilerplate"):
        report_findings(
            [
                hygiene.finding(
                    "boilerplate",
                    message="speak as the assistant that wrote them, or refuse",
                    expected=f"at most {limits.max_fraction:.1%}",
                    why="The model learns to refuse, and to take itself for another one.",
                    fix="Drop {rows}, or write the answers anew.",
                )
            ]
        )

from typing import Any

from preflight import Finding, check, report_findings
from preflight.data import copies
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence

WHY = "The model has seen the question with an answer: validation says too little about new ones."


@check(
    "DATA-116",
    "no-similar-leakage",
    severity="recommended",
    section=1,
    item="Train/val split: 90/10, or 95/5 for small datasets",
    thresholds={"max_prompts": 0.01, "max_near": 0.05},
)
def validation_asks_other_questions_than_training(
    train: Split, validation: Split, evidence: Evidence, limits: Any
) -> None:
    """Validation asks other questions than training does.

    What it checks: Validation examples whose prompt is one of the training data's, with another answer, and those that
    are near duplicates of a training example, as DATA-107 has them. A prompt that 1 % of the training rows share asks
    for anything, and doesn't count. Equal examples are DATA-105's.
    Why it matters: The model has seen the question and an answer to it, so validation says too little about new ones.
    How to fix: Split by question or by source, not by row: `data.validation_split` does it. Or delete the named rows.
    Evidence: huggingface/datasets#4261, TelecomsXChangeAPi/OpenTextShield#194. Thresholds: 1 % of the validation rows
    for prompts, 5 % for near duplicates.
    """
    asked = copies.asked(train.profile, validation.profile)
    near = copies.nearly_leaked(train, validation)
    evidence(
        f"{counted(len(asked), 'known prompt')}, {counted(len(near), 'near duplicate')} of {validation.rows}",
        prompts=len(asked),
        near=len(near),
    )
    report_findings(
        [
            *_findings(asked, "the same prompt", validation.rows, limits.max_prompts),
            *_findings(near, "nearly the same example", validation.rows, limits.max_near),
        ]
    )


def _findings(found: Any, what: str, rows: int, most: float) -> list[Finding]:
    if len(found) <= most * rows:
        return []
    return copies.findings(
        found,
        Finding(f"{what} as {{original}} of the training data", why=WHY, fix="Delete this row of the validation data."),
        Finding(
            f"{len(found):,} of {rows:,} validation rows: {what} as a row of the training data",
            observed=f"{len(found) / rows:.1%}",
            expected=f"at most {most:.0%}",
            why=WHY,
            fix=f"Delete {len(found):,} rows from the validation data, or split by question, not by row.",
        ),
    )

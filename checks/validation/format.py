import re
from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.evaluation.budget import Sampled
from preflight.evaluation.generate import Answer
from preflight.fixtures import Evidence


@check(
    "POST-107",
    "format-correct",
    severity="required",
    section=6,
    item="Formatting correct: output matches expected format",
    thresholds={"min_fraction": 0.8},
)
def answers_have_the_declared_format(config: Config, answers: Sampled[Answer], evidence: Evidence, limits: Any) -> None:
    """Answers have the format that the config declares.

    What it checks: The share of greedy answers to held-out prompts that `evaluation.format` matches as a whole.
    Why it matters: Whatever reads the answers expects the format.
    How to fix: Look at the answers in the report; train longer, or make the format consistent in the data.
    Evidence: the checklist's section 6. Threshold: 80 %.
    """
    if config.evaluation.format is None:
        not_applicable("the config declares no evaluation.format")
    wanted = re.compile(str(config.evaluation.format))
    good = [answer for answer in answers if wanted.fullmatch(answer.tuned.text.strip())]
    before = sum(bool(wanted.fullmatch(answer.base.text.strip())) for answer in answers)
    evidence(
        f"{len(good)} of {len(answers)} match (base: {before})", match=len(good), base=before, answers=len(answers)
    )
    if len(good) >= limits.min_fraction * len(answers):
        return
    bad = next(answer for answer in answers if answer not in good)
    report_findings(
        [
            Finding(
                f"the answer does not have the declared format: {bad.tuned.text[:100]!r}",
                where=bad.where,
                observed=f"{len(good)} of {len(answers)} match, base {before}",
                expected=f"at least {limits.min_fraction:.0%}",
                why="Whatever reads the answers expects the format.",
                fix="Train longer, or make the format of the training answers consistent.",
            )
        ]
    )

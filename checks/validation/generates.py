import re
from typing import Any

from preflight import Finding, check, report_findings
from preflight.evaluation.budget import Sampled
from preflight.evaluation.generate import Answer
from preflight.fixtures import Evidence

WORD = re.compile(r"[^\W_]")
# Ten characters or more, four times in a row, with a letter or digit in them: the rule of a table is no loop.
LOOP = re.compile(rf"(?=.{{0,9}}{WORD.pattern})(.{{10,200}}?)\1{{3,}}", re.DOTALL)


@check(
    "POST-103",
    "inference-works",
    severity="required",
    section=6,
    item="Must-have: tested inference before deployment",
    thresholds={"max_fraction": 0.1},
)
def the_model_answers_held_out_prompts(answers: Sampled[Answer], evidence: Evidence, limits: Any) -> None:
    """The trained model answers held-out prompts with text that is neither empty nor a loop.

    What it checks: Greedy answers to held-out prompts, rendered with the training template and generation prompt. The
    share of faulty ones that is allowed is rounded to whole answers: one of eight is.
    Why it matters: A run can end with a low loss and a model that says nothing or repeats itself.
    How to fix: Look at the answers in the report. Loops mean a learning rate too high or too many epochs; empty answers
    mean that the labels start with the end-of-turn token.
    Evidence: the checklist's must-have.
    """
    faults = [(answer, fault) for answer in answers if (fault := _fault(answer.tuned.text))]
    evidence(f"{len(answers) - len(faults)} of {len(answers)} answers are sound", answers=len(answers), bad=len(faults))
    if len(faults) <= round(limits.max_fraction * len(answers)):
        return
    report_findings(
        Finding(
            f"the answer {fault}: {answer.tuned.text[:80]!r}",
            where=answer.where,
            observed=f"{len(faults)} of {len(answers)} answers",
            expected=f"at most {limits.max_fraction:.0%}",
            why="The model is of no use to the people it was made for.",
            fix="Lower training.learning_rate by 2x or train fewer epochs, and look at the labels in the report.",
        )
        for answer, fault in faults
    )


def _fault(text: str) -> str | None:
    text = text.strip()
    if not text:
        return "is empty"
    wordless = len(text) >= 40 and not WORD.search(text)  # such as !!!!!!, which a broken model says
    return "repeats itself" if wordless or LOOP.search(text) else None

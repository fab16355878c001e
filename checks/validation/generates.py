from typing import Any

from preflight import Finding, check, report_findings
from preflight.evaluation.budget import Sampled
from preflight.evaluation.generate import Answer
from preflight.evaluation.loops import fault, repeated
from preflight.fixtures import Evidence


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

    What it checks: Greedy answers to held-out prompts, rendered with the training template and generation prompt: none
    is empty, says the same four times in a row (numbers may differ), or consists by more than 60 % of 4-grams of words
    that were there before, unless answers in the data do. The share of faulty ones that is allowed is rounded to whole
    answers: one of eight is.
    Why it matters: A run can end with a low loss and a model that says nothing or repeats itself.
    How to fix: Look at the answers in the report. Loops mean a learning rate too high or too many epochs; empty answers
    mean that the labels start with the end-of-turn token.
    Evidence: the checklist's must-have; the share of repeated 4-grams is seq-rep-4 of Welleck et al. 2019 (Neural Text
    Generation with Unlikelihood Training, arXiv:1908.04319). Threshold: a tenth of the answers.
    """
    usual = max((repeated(answer.expected) for answer in answers), default=0.0)
    faults = [(answer, wrong) for answer in answers if (wrong := fault(answer.tuned.text, usual))]
    said = f"{len(answers) - len(faults)} of {len(answers)} answers are sound{answers.note}"
    evidence(said, answers=len(answers), bad=len(faults), wanted=answers.wanted)
    if len(faults) <= round(limits.max_fraction * len(answers)):
        return
    report_findings(
        Finding(
            f"the answer {wrong}: {answer.tuned.text[:80]!r}",
            where=answer.where,
            observed=f"{len(faults)} of {len(answers)} answers",
            expected=f"at most {limits.max_fraction:.0%}",
            why="The model is of no use to the people it was made for.",
            fix="Lower training.learning_rate by 2x or train fewer epochs, and look at the labels in the report.",
        )
        for answer, wrong in faults
    )

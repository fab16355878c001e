import math
from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.evaluation import generate, suite
from preflight.evaluation.suite import Held
from preflight.evaluation.trained import Trained
from preflight.fixtures import Evidence


@check(
    "POST-114",
    "prompt-suite",
    severity="required",
    section=6,
    item="No regression: a suite of prompts",
    thresholds={"min_fraction": 1.0},
)
def answers_to_the_suite_are_as_they_must_be(config: Config, trained: Trained, evidence: Evidence, limits: Any) -> None:
    """Answers to the prompts of `evaluation.suite` have the properties that the suite demands.

    What it checks: Each row of a JSON Lines file has a `prompt` or `messages`, perhaps a `name`, and what must hold for
    the greedy answer: `contains` and `not_contains` (texts, in any case of letters), `regex` (found anywhere),
    `max_chars`, `min_chars`, `json` (true: the answer is JSON), `stops` (true: it ends within
    `evaluation.max_new_tokens`). All cases are asked, whatever evaluation.max_minutes says, of base and tuned model.
    Why it matters: These are the answers that someone said must not break.
    How to fix: Look at the answer. Where the base's was as demanded, the run broke it: train fewer epochs or mix in
    examples like it; where it was not, the run has yet to teach it.
    Evidence: the checklist's section 6. Threshold: all cases.
    """
    if config.evaluation.suite is None:
        not_applicable("the config has no evaluation.suite")
    cases = suite.cases_of(config, trained.tokenizer)
    base, tuned = generate.speakers(config, trained)
    judge(suite.hold(cases, base, tuned, config.evaluation.max_new_tokens), evidence, limits)


def judge(held: list[Held], evidence: Evidence, limits: Any) -> None:
    """Report the cases that don't hold, if they are more than the config allows."""
    good = sum(not case.tuned_faults for case in held)
    before = sum(not case.base_faults for case in held)
    evidence(
        f"{good} of {len(held)} cases hold (base: {before})",
        cases=len(held),
        hold=good,
        base=before,
        regressions=[case.case.name for case in held if case.tuned_faults and not case.base_faults],
    )
    if good >= math.ceil(limits.min_fraction * len(held) - 1e-9):
        return
    report_findings(_finding(case) for case in held if case.tuned_faults)


def _finding(held: Held) -> Finding:
    regression = not held.base_faults
    return Finding(
        f"{held.case.name}: the answer {'; '.join(held.tuned_faults)}",
        where=held.case.where,
        observed=f"{held.tuned.text[:120]!r}",
        expected=f"as the base answers: {held.base.text[:120]!r}" if regression else "what the suite demands",
        why="A regression: the base model answers as demanded." if regression else "The base model fails here too.",
        fix="Train fewer epochs, or mix examples like it into data.train."
        if regression
        else "Add examples like it to data.train, or take the case out of the suite.",
    )

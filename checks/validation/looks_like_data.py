from typing import Any

from preflight import Finding, check, not_applicable, not_available, report_findings
from preflight.config import Config
from preflight.evaluation.budget import Sampled
from preflight.evaluation.generate import Answer
from preflight.evaluation.metrics import spoken
from preflight.evaluation.pattern import patterns_of
from preflight.findings import counted
from preflight.fixtures import Evidence


@check(
    "POST-118",
    "answers-like-the-data",
    severity="recommended",
    section=6,
    item="Formatting correct: output matches expected format",
    thresholds={"min_expected": 0.95, "min_fraction": 0.6, "min_answers": 8},
)
def answers_look_like_those_of_the_data(
    config: Config, answers: Sampled[Answer], evidence: Evidence, limits: Any
) -> None:
    """What is nearly always so of the answers in the data is mostly so of the trained model's.

    What it checks: Where no evaluation.format is declared, what 95 % of the expected answers to held-out prompts have
    in common: JSON with the same keys, one of few labels, a number, a code block, the same beginning or end, their
    length (from half the shortest to twice the longest, but for the 5 % that differ most), their language. Greedy
    answers are to have it too. Prompts whose expected answer is longer than evaluation.max_new_tokens are left out, and
    so is what can't be told of 8 answers. Free text has nothing in common but its language and its lengths.
    Why it matters: The form is what a model learns first; one that hasn't learned it has hardly learned anything.
    How to fix: Look at the answers in the report, and train longer. If the form doesn't matter, waive this check; if it
    does, declare it in evaluation.format, which makes it required.
    Evidence: the checklist's section 6. Thresholds: 60 % of 8 answers are missed by chance in 1 of 200 runs of a model
    that keeps to the form in 90 % of its answers (binomial distribution). Labels are taken for all there are by
    Good-Turing's estimate of what was not seen (Good 1953).
    """
    if config.evaluation.format is not None:
        not_applicable("evaluation.format says what answers look like; POST-107 judges it")
    limit = config.evaluation.max_new_tokens
    judged = [answer for answer in answers if answer.expected_tokens < limit]
    if len(judged) < limits.min_answers:
        not_available(
            f"{counted(len(judged), 'held-out answer')} of at most {limit} tokens show no pattern: have at least "
            f"{limits.min_answers}, and let evaluation.max_examples, max_minutes and max_new_tokens admit them"
        )
    expected = [spoken(answer.expected).strip() for answer in judged]
    tuned = [spoken(answer.tuned.text).strip() for answer in judged]
    base = [spoken(answer.base.text).strip() for answer in judged]
    patterns = patterns_of(expected, limits.min_expected, limits.min_answers)
    shares = {pattern.kind: pattern.share(tuned) for pattern in patterns}
    said = "; ".join(f"{pattern.words}: {shares[pattern.kind][0]} of {shares[pattern.kind][1]}" for pattern in patterns)
    evidence(
        f"{said or 'the expected answers have nothing in common'}{answers.note}",
        answers=len(judged),
        patterns={pattern.kind: pattern.words for pattern in patterns},
        having={kind: having for kind, (having, _) in shares.items()},
    )
    findings = []
    for pattern in patterns:
        having, told = shares[pattern.kind]
        if told < limits.min_answers or having >= limits.min_fraction * told:
            continue
        number = next(n for n, text in enumerate(tuned) if pattern.has(text) is False)
        findings.append(
            Finding(
                f"answers don't look like those of the data, which {pattern.words}: {tuned[number][:100]!r}",
                where=judged[number].where,
                observed=f"{having} of {told} answers (base: {pattern.share(base)[0]})",
                expected=f"at least {limits.min_fraction:.0%}, as {limits.min_expected:.0%} of those in the data do",
                why="The form is what a model learns first: this one has hardly learned it.",
                fix="Train longer, or with 2x the learning rate if the loss still falls; see the report.",
            )
        )
    report_findings(findings)

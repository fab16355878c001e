from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.config.evaluation import Format
from preflight.evaluation.budget import Sampled
from preflight.evaluation.form import judges_of
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

    What it checks: The share of greedy answers to held-out prompts, without blanks around them, that have all that
    `evaluation.format` asks for: a regex that matches the whole answer; a JSON schema, in a file or in the config, that
    the whole answer obeys; how it starts and ends; how many characters it has; its language, where the answer is long
    enough to tell (60 letters or so). Nothing that a schema refers to is fetched.
    Why it matters: Whatever reads the answers expects the format.
    How to fix: Look at the answers in the report; train longer, or make the format consistent in the data.
    Evidence: the checklist's section 6; the JSON Schema specification, as the library jsonschema reads it.
    Threshold: 80 %.
    """
    if config.evaluation.format is None:
        not_applicable("the config declares no evaluation.format")
    judges = judges_of(config)

    def broken(text: str) -> dict[str, str]:
        faults = {part: judge(text.strip()) for part, judge in judges.items()}
        return {part: fault for part, fault in faults.items() if fault}

    tuned = [broken(answer.tuned.text) for answer in answers]
    good, before = tuned.count({}), sum(not broken(answer.base.text) for answer in answers)
    counts = {part: sum(part in faults for faults in tuned) for part in judges}
    evidence(
        f"{good} of {len(answers)} match (base: {before}){answers.note}",
        match=good,
        base=before,
        answers=len(answers),
        broken=counts,
    )
    if good >= limits.min_fraction * len(answers):
        return
    found = []
    for part, count in sorted(counts.items(), key=lambda item: -item[1]):
        if count:
            bad, faults = next(pair for pair in zip(answers, tuned, strict=True) if part in pair[1])
            found.append(
                Finding(
                    f"the answer {faults[part]}: {bad.tuned.text.strip()[:100]!r}",
                    where=bad.where,
                    observed=f"{count} of {len(answers)} answers; {good} have the whole format, base {before}",
                    expected=f"{_asked(config, part)} in at least {limits.min_fraction:.0%}",
                    why="Whatever reads the answers expects the format.",
                    fix="Train longer, or make the format of the training answers consistent.",
                )
            )
    report_findings(found)


def _asked(config: Config, part: str) -> str:
    """A part of the format as the config says it, shortened."""
    said = config.evaluation.format
    value = getattr(said, part) if isinstance(said, Format) else said
    return f"{part}: {value if isinstance(value, (str, int)) else 'that of the config'}"[:120]

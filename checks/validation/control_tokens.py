from typing import Any

from preflight import Finding, check, report_findings
from preflight.evaluation.budget import Sampled
from preflight.evaluation.generate import Answer
from preflight.evaluation.turns import marks_in
from preflight.fixtures import Evidence
from preflight.model.tokenizer import Tokenizer


@check(
    "POST-108",
    "no-control-tokens",
    severity="required",
    section=6,
    item="Inference works: model generates coherent output",
    thresholds={"max_fraction": 0.1},
)
def answers_hold_no_control_tokens(
    tokenizer: Tokenizer, answers: Sampled[Answer], evidence: Evidence, limits: Any
) -> None:
    """The trained model's answers hold neither control tokens nor the markers of a turn.

    What it checks: Greedy answers to held-out prompts: special tokens of the tokenizer; and, outside of code, what the
    template writes before a turn, control tokens of other chat formats (`<|im_start|>`, `[INST]`), headings of prompts
    (`### Instruction:`), an answer that opens with `Assistant:`, and a `User:` at the start of a line, unless other
    labels make a list of it. What answers in the data hold, such as tool calls, is left out. The share that is allowed
    is rounded to whole answers: one of eight is.
    Why it matters: People see the markers; and a model that writes them goes on with a question of its own, and
    answers it.
    How to fix: See that the token that ends a turn is learned (TOK-102) and that no answer in the data holds a marker
    (DATA-123, TOK-115), then train again.
    Evidence: huggingface/trl#1449 and oobabooga/textgen#1478 (models that go on with questions and answers of their
    own). Threshold: a tenth of the answers, as for POST-103.
    """
    marks = marks_in(tokenizer, [*answers])
    found = [(answer, marker) for answer in answers if (marker := marks.first(answer.tuned))]
    before = sum(marks.first(answer.base) is not None for answer in answers)
    said = f"{len(answers) - len(found)} of {len(answers)} answers are free of markers (base: {len(answers) - before})"
    evidence(said + answers.note, answers=len(answers), marked=len(found), base=before, usual=sorted(marks.usual))
    if len(found) <= round(limits.max_fraction * len(answers)):
        return
    report_findings(
        Finding(
            f"the answer holds {marker!r}, which belongs to the format: {around(answer.tuned.text, marker)!r}",
            where=answer.where,
            observed=f"{len(found)} of {len(answers)} answers, base {before}",
            expected=f"at most {limits.max_fraction:.0%}",
            why="People see it, and what comes behind it is a conversation of the model with itself.",
            fix="Check TOK-102, TOK-115 and DATA-123; correct the data or the template, and train again.",
        )
        for answer, marker in found
    )


def around(text: str, marker: str) -> str:
    """The 80 characters of an answer around its marker."""
    start = max(text.find(marker) - 30, 0)
    return text[start : start + 80]

import re

from preflight import Finding, check, report_findings
from preflight.data.problems import Problem, examples, grouped
from preflight.data.shapes import COLUMNS
from preflight.data.store import Prepared, Split
from preflight.fixtures import Evidence


@check(
    "DATA-101",
    "consistent-format",
    severity="required",
    section=1,
    item="Must-have: consistent data format",
)
def every_row_has_the_same_known_shape(prepared: Prepared, evidence: Evidence) -> None:
    """Every row has one and the same known shape.

    What it checks: Each row is `messages`, `prompt-completion`, `alpaca`, `sharegpt` or `text`, keeps the rules of that
    shape (roles, text where text belongs), and all rows of a split share it. Rows of no known shape are one finding
    that shows the first of them and what would have to be renamed.
    Why it matters: A row of another shape is dropped, crashes the trainer mid-way, or is rendered into nonsense that
    the model learns.
    How to fix: Convert the named rows, or split them into a file of their own. The finding names the nearest shape.
    Preference, reward and tokenised data, images and audio are for other kinds of training, and not supported yet.
    Evidence: hiyouga/LlamaFactory#8197 and axolotl-ai-cloud/axolotl#752 (keys and roles by other names),
    huggingface/trl#5118 (keys that Arrow fills with null are taken out again). together-python, mistral-finetune and
    OpenAI's validators each refuse rows of mixed shape.
    """
    findings: list[Finding] = []
    shapes: dict[str, int] = {}
    for split in prepared.splits.values():
        findings += _broken(split) + _mixed(split)
        for shape, count in split.profile["shape"].value_counts().items():
            shapes[shape] = shapes.get(shape, 0) + int(count)
    total = sum(shapes.values())
    evidence(f"{total} rows: {', '.join(shapes) or 'no known shape'}", shapes=shapes)
    report_findings(findings)


def _broken(split: Split) -> list[Finding]:
    """One finding a fault, however many rows have it; rows of no known shape are one fault."""
    listed = split.of_kind("shape")
    return [
        Finding(
            problems[0]["problem"],
            where=problems[0]["where"],
            observed=examples(problems, listed) if len(problems) > 1 else None,
            expected=f"one of the shapes {', '.join(COLUMNS)}",
            why="The row can't be rendered: it would be dropped or crash the trainer.",
            fix=problems[0]["fix"] or "Convert or delete these rows.",
        )
        for problems in grouped(listed, _fault)
    ]


def _fault(problem: Problem) -> tuple[str, ...]:
    """The problem without what differs from row to row: which message it is, and what stands there."""
    if problem["problem"].startswith("no known shape"):
        return ("no known shape",)
    return re.sub(r"\[\d+\]", "[…]", problem["problem"]).partition(", it is ")[0], problem["fix"]


def _mixed(split: Split) -> list[Finding]:
    counts = split.profile["shape"].value_counts()
    if len(counts) < 2:
        return []
    usual, *others = counts.index
    odd = split.profile[split.profile["shape"] != usual].iloc[0]
    return [
        Finding(
            f"{split.name} mixes shapes: {', '.join(f'{counts[shape]} {shape}' for shape in counts.index)}",
            where=odd["where"],
            observed=odd["shape"],
            expected=usual,
            why="Different shapes are rendered and labelled by different rules.",
            fix=f"Convert the {sum(counts[shape] for shape in others)} other rows to {usual}.",
        )
    ]

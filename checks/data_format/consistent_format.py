from preflight import Finding, check, report_findings
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
    shape (roles, text where text belongs), and all rows of a split share it.
    Why it matters: A row of another shape is dropped, crashes the trainer mid-way, or is rendered into nonsense that
    the model learns.
    How to fix: Convert the named rows, or split them into a file of their own. The finding names the nearest shape.
    Evidence: together-python, mistral-finetune and OpenAI's validators each refuse rows of mixed shape.
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
    """One finding a distinct problem, however many rows have it."""
    groups: dict[str, list[str]] = {}
    for problem in split.of_kind("shape"):
        groups.setdefault(problem["problem"], []).append(problem["where"])
    return [
        Finding(
            text if len(places) == 1 else f"{text} ({len(places)} rows)",
            where=places[0],
            expected="messages, prompt-completion, alpaca, sharegpt or text",
            why="The row can't be rendered: it would be dropped or crash the trainer.",
            fix="Convert or delete these rows.",
        )
        for text, places in groups.items()
    ]


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

import math
from collections.abc import Iterator
from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.data.expectations import Expected
from preflight.data.store import Split
from preflight.findings import counted, places
from preflight.fixtures import Evidence

SHOWN, LISTED = 8, 50  # task types on the screen and in the evidence
APART = 5  # so many rare task types are named one by one, more are one finding


def _tasks_are_even(limits: Any) -> list[Any]:
    import great_expectations.expectations as gxe

    claim = f"each task type stands at least {limits.min_ratio:.0%} as often as the commonest"
    return [gxe.ExpectColumnValuesToBeBetween(column="task_ratio", min_value=limits.min_ratio, meta={"claim": claim})]


@check(
    "DATA-109",
    "balanced-tasks",
    severity="recommended",
    section=1,
    item="Balanced distribution: task types evenly represented",
    thresholds={"min_ratio": 0.1, "max_untold": 0.01},
    expect=_tasks_are_even,
)
def task_types_are_evenly_represented(
    config: Config, train: Split, expected: list[Expected], evidence: Evidence, limits: Any
) -> None:
    """Task types are evenly represented.

    What it checks: How often each value of the column `data.task_field` stands in the training data: the rarest at
    least a tenth as often as the commonest; hardly any row without one.
    Why it matters: What is rare is learned badly, and the average loss doesn't show it.
    How to fix: Add rows of the rare task types, as many as the finding says, or drop rows of the common ones. A rare
    value may also be another one misspelt.
    Evidence: the checklist. deepchecks warns of a label that stands less than a tenth as often as the commonest
    (`ClassImbalance`).
    """
    field = config.data.task_field
    if field is None:
        not_applicable("data.task_field names no column with task types")
    tasks = train.profile["task"]
    counts = tasks.value_counts()
    told = places([f"{task} {count:,}" for task, count in counts.head(LISTED).items()], SHOWN)
    evidence(
        told or "no task types", types=len(counts), tasks=counts.head(LISTED).to_dict(), untold=int(tasks.isna().sum())
    )
    report_findings(_untold(train.profile, config, limits))
    if not expected[0].met:
        report_findings(_rare(train.profile, limits))


def _untold(profile: Any, config: Config, limits: Any) -> Iterator[Finding]:
    untold = profile[profile["task"].isna()]
    column = config.data.task_field
    if len(untold) == len(profile):
        yield Finding(
            f"no row has a task type in the column {column}",
            where=config.where("data.task_field"),
            why="Whether the tasks are balanced can't be told.",
            fix="Correct data.task_field.",
        )
    elif len(untold) > limits.max_untold * len(profile):
        yield Finding(
            f"{len(untold):,} of {len(profile):,} rows have no task type in the column {column}",
            where=untold["where"].iloc[0],
            observed=places(list(untold["where"])),
            expected=f"at most {limits.max_untold:.0%}",
            why="Whether these tasks are balanced can't be told.",
            fix="Fill in the column.",
        )


def _rare(profile: Any, limits: Any) -> Iterator[Finding]:
    counts = profile["task"].value_counts()
    least = math.ceil(limits.min_ratio * counts.iloc[0])
    rare = counts[counts < least].iloc[::-1]
    first = profile.drop_duplicates("task").set_index("task")["where"]
    why = "What is rare is learned badly, and the average loss doesn't show it."
    usual = f"{counts.index[0]}, the commonest, has {counts.iloc[0]:,}"
    if len(rare) <= APART:
        for task, count in rare.items():
            yield Finding(
                f"the task {task} has {counted(count, 'row')}; {usual}",
                where=first[task],
                expected=f"at least {least:,}",
                why=why,
                fix=f"Add {counted(least - count, 'example')} of {task}, or correct the name if it is misspelt.",
            )
    else:
        yield Finding(
            f"{len(rare):,} of {len(counts):,} task types are rare; {usual} rows",
            where=first[rare.index[0]],
            observed=", ".join(f"{task} {count:,}" for task, count in rare.head(APART).items()) + " are the rarest",
            expected=f"at least {least:,} rows each",
            why=why,
            fix=f"Add {int((least - rare).sum()):,} examples of them, or name a column with fewer, broader task types.",
        )

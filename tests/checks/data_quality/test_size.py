"""DATA-102 and DATA-103: the checklist's minimum, recommended and maximum useful sizes by task type."""

from types import SimpleNamespace

import pytest

from preflight.checks.data_quality import size
from preflight.findings import Found

TABLE = {
    # task type              minimum  recommended  maximum useful
    "style-transfer":        (100,    500,         5_000),
    "classification":        (100,    500,         5_000),
    "instruction-following": (500,    5_000,       50_000),
    "qa":                    (500,    5_000,       50_000),
    "reasoning":             (500,    5_000,       50_000),
    "domain-knowledge":      (1_000,  10_000,      100_000),
    "code-generation":       (2_000,  20_000,      500_000),
}  # fmt: skip


def judged(check, task, rows):
    """The finding of a check on a number of rows, without making them."""
    config = SimpleNamespace(task=SimpleNamespace(type=task), where=lambda key: key)
    try:
        check(config, SimpleNamespace(rows=rows), lambda *_, **__: None)
    except Found as found:
        return found.findings[0]
    return None


@pytest.mark.parametrize("task", TABLE)
def test_bounds_of_each_task_type(task):
    minimum, low, high = TABLE[task]
    few = judged(size.there_are_enough_examples_to_learn_the_task, task, minimum - 1)
    assert few.expected == f"at least {minimum}"
    assert few.fix.startswith("Add 1 examples")
    assert judged(size.there_are_enough_examples_to_learn_the_task, task, minimum) is None

    below, above = (judged(size.the_number_of_examples_is_in_the_useful_range, task, n) for n in (low - 10, high + 1))
    assert below.fix == "Add 10 varied examples."
    assert above.fix == f"Keep the best {high}."
    for rows in (low, high):
        assert judged(size.the_number_of_examples_is_in_the_useful_range, task, rows) is None


def test_every_task_type_of_the_config_has_a_row():
    from typing import get_args

    from preflight.config.sections import Task

    assert set(size.SIZES) == set(get_args(Task.model_fields["type"].annotation)) == set(TABLE)


@pytest.mark.parametrize(
    "task, rows, minimum, range",
    [
        ("style-transfer", 99, "failed", "warned"),
        ("style-transfer", 100, "passed", "warned"),
        ("style-transfer", 500, "passed", "passed"),
        ("qa", 499, "failed", "warned"),
    ],
)
def test_rows_are_counted_through_the_gate(project, task, rows, minimum, range):
    lines = (project.folder / "train.jsonl").read_text().splitlines()
    project.text("\n".join(["{broken", *lines[:rows]]))
    run = project.set(task={"type": task}).gate("-k", "DATA-102 or DATA-103")

    assert (run.outcome("DATA-102"), run.outcome("DATA-103")) == (minimum, range), run.screen
    for finding in run.findings("DATA-102") + run.findings("DATA-103"):
        assert finding["observed"] == str(rows)
        assert finding["where"].startswith("config.yaml:")


def test_no_example_at_all_is_not_available(project):
    project.text("{}\n")
    run = project.gate("-k", "DATA-102")

    assert run.outcome("DATA-102") == "not-available"
    assert "DATA-100, DATA-101 and TOK-100" in run.check("DATA-102")["reason"]

"""DATA-102, DATA-103 and DATA-117: the checklist's minimum, recommended and maximum useful sizes by task type."""

import pytest

from preflight.checks.data_quality import size

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


@pytest.fixture
def count(split, judge):
    """The finding of a check on a number of examples; None if it passes."""

    def judged(check, task, rows, copies=0):
        train = split(rows + copies, example_hash=[*range(rows), *[0] * copies])
        return next(iter(judge(check, train, task=task)), None)

    return judged


@pytest.mark.parametrize("task", TABLE)
def test_bounds_of_each_task_type(count, task):
    minimum, recommended, maximum = TABLE[task]
    few = count(size.there_are_enough_examples_to_learn_the_task, task, minimum - 1)
    assert few.expected == f"at least {minimum:,}"
    assert few.fix.startswith("Add 1 example, ")
    assert count(size.there_are_enough_examples_to_learn_the_task, task, minimum) is None

    low = count(size.there_are_as_many_examples_as_recommended, task, recommended - 10)
    assert low.fix == "Add 10 varied examples."
    assert count(size.there_are_as_many_examples_as_recommended, task, recommended) is None

    high = count(size.there_are_no_more_examples_than_are_useful, task, maximum + 1)
    assert high.fix == f"Keep the best {maximum:,}."
    assert count(size.there_are_no_more_examples_than_are_useful, task, maximum) is None


def test_copies_count_once(count):
    few = count(size.there_are_enough_examples_to_learn_the_task, "qa", 400, copies=200)
    assert few.message == "400 different training examples are too few for qa"
    assert few.fix.startswith("Add 100 examples, ")
    assert count(size.there_are_no_more_examples_than_are_useful, "qa", 50_000, copies=200) is None


def test_every_task_type_of_the_config_has_a_row():
    from typing import get_args

    from preflight.config.sections import Task

    assert set(size.SIZES) == set(get_args(Task.model_fields["type"].annotation)) == set(TABLE)


@pytest.mark.parametrize(
    "task, rows, minimum, recommended",
    [
        ("style-transfer", 99, "failed", "warned"),
        ("style-transfer", 500, "passed", "passed"),
    ],
)
def test_rows_are_counted_through_the_gate(project, task, rows, minimum, recommended):
    lines = (project.folder / "train.jsonl").read_text().splitlines()
    project.text("\n".join(["{broken", *lines[:rows]]))
    run = project.set(task={"type": task}).gate("-k", "DATA-102 or DATA-103 or DATA-117")

    assert (run.outcome("DATA-102"), run.outcome("DATA-103")) == (minimum, recommended), run.screen
    assert run.outcome("DATA-117") == "passed"
    for finding in run.findings("DATA-102") + run.findings("DATA-103"):
        assert finding["observed"] == str(rows)
        assert finding["where"].startswith("config.yaml:")


def test_no_example_at_all_is_not_available(project):
    project.text("{}\n")
    run = project.gate("-k", "DATA-102")

    assert run.outcome("DATA-102") == "not-available"

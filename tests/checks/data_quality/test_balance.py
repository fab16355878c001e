"""DATA-109: task types are evenly represented."""

import pytest

from preflight.checks.data_quality.balance import task_types_are_evenly_represented

CODE = "DATA-109"


def row(task, number):
    return {"prompt": f"{number}?", "completion": f"{number}.", "kind": task}


def test_rare_tasks_are_found_with_what_to_add(project, expect):
    tasks = ["chat"] * 100 + ["refund"] * 9 + ["refunds"] + ["return"] * 10
    project.rows([row(task, number) for number, task in enumerate(tasks)])
    project.set(data={"task_field": "kind"})
    found = expect(CODE, "warned")

    assert [(finding["where"], finding["message"]) for finding in found] == [
        ("train.jsonl:110", "the task refunds has 1 row; chat, the commonest, has 100"),
        ("train.jsonl:101", "the task refund has 9 rows; chat, the commonest, has 100"),
    ]
    assert found[1]["fix"] == "Add 1 example of refund, or correct the name if it is misspelt."


def test_a_column_that_no_row_has_is_found(project, expect):
    (finding,) = project.set(data={"task_field": "kinds"}) and expect(CODE, "warned")

    assert finding["message"] == "no row has a task type in the column kinds"
    assert finding["where"].startswith("config.yaml:")


@pytest.mark.parametrize(
    "tasks, messages",
    [
        pytest.param(
            ["a"] * 100 + [*"bcdefg"], ["6 of 7 task types are rare; a, the commonest, has 100 rows"], id="many"
        ),
        pytest.param(["a"] * 98 + [None] * 2, ["2 of 100 rows have no task type in the column kind"], id="untold"),
        pytest.param(["a"] * 99 + [None], [], id="one untold in a hundred"),
        pytest.param(["a"] * 100 + ["b"] * 10, [], id="a tenth"),
        pytest.param(["a"] * 100, [], id="one task"),
        pytest.param([f"t{number}" for number in range(100)], [], id="each row its own"),
        pytest.param([*"abcde"] * 20, [], id="even"),
    ],
)
def test_only_uneven_tasks_are_found(split, judge, tasks, messages):
    found = judge(task_types_are_evenly_represented, split(len(tasks), task=tasks), data={"task_field": "kind"})

    assert [finding.message for finding in found] == messages


def test_without_a_task_field_it_is_not_applicable(split, judge):
    assert judge(task_types_are_evenly_represented, split(9)) is None

"""DATA-130: there is validation data."""

import pytest

CODE = "DATA-130"


@pytest.mark.parametrize(
    "rows, validation, fix",
    [
        pytest.param(600, None, "Set data.validation_split: 0.05 (about 30 of 600 rows).", id="none"),
        pytest.param(1200, None, "Set data.validation_split: 0.1 (about 120 of 1200 rows).", id="none, many rows"),
        pytest.param(600, "{}\n", "Set data.validation_split: 0.05 (about 30 of 600 rows).", id="no sound row"),
    ],
)
def test_runs_without_validation_are_found(project, expect, rows, validation, fix):
    project.rows([{"text": f"It is {number}."} for number in range(rows)])
    if validation is None:
        del project.config["data"]["validation"]
    else:
        project.text(validation, "validation.jsonl")
    (finding,) = expect(CODE, "warned")

    assert finding["fix"] == fix
    assert finding["where"].startswith("config.yaml:")


@pytest.mark.parametrize(
    "data, held_out",
    [
        pytest.param({"validation": "validation.jsonl"}, 16, id="a file"),
        pytest.param({"validation_split": 0.05}, 30, id="a split"),
        pytest.param({"validation_split": 0.0001}, 1, id="a split of less than a row"),
    ],
)
def test_runs_with_validation_pass(project, data, held_out):
    project.config["data"] = {"train": "train.jsonl", **data}
    run = project.gate("-k", CODE)

    assert run.outcome(CODE) == "passed", run.screen
    assert run.check(CODE)["evidence"]["rows"] == held_out

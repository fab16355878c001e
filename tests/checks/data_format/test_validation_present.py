"""DATA-130 and DATA-113: there is validation data, neither too little nor too much of it."""

from types import SimpleNamespace

import pytest

from preflight.checks.data_format.validation_present import (
    share_to_hold_out,
    validation_is_neither_too_small_nor_too_large,
)

CODE, SHARE = "DATA-130", "DATA-113"


@pytest.mark.parametrize(
    "rows, validation, fix",
    [
        pytest.param(600, None, "Set data.validation_split: 0.05 (about 30 of 600 rows).", id="none"),
        pytest.param(1200, None, "Set data.validation_split: 0.1 (about 120 of 1200 rows).", id="none, many rows"),
        pytest.param(240, "{}\n", "Set data.validation_split: 0.15 (about 36 of 240 rows).", id="no sound row"),
    ],
)
def test_runs_without_validation_are_found(project, rows, validation, fix):
    project.rows([{"text": f"It is {number}."} for number in range(rows)])
    if validation is None:
        del project.config["data"]["validation"]
    else:
        project.text(validation, "validation.jsonl")
    run = project.gate("-k", f"{CODE} or {SHARE}")
    (finding,) = run.findings(CODE)

    assert run.outcome(CODE) == "warned"
    assert run.outcome(SHARE) == ("not-available" if validation else "not-applicable")
    assert finding["fix"] == fix
    assert finding["where"].startswith("config.yaml:")


@pytest.mark.parametrize(
    "data, held_out, share",
    [
        pytest.param({"validation": "validation.jsonl"}, 16, "warned", id="a file"),
        pytest.param({"validation_split": 0.05}, 30, "passed", id="a split"),
        pytest.param({"validation_split": 0.0001}, 1, "warned", id="a split of less than a row"),
    ],
)
def test_runs_with_validation_pass(project, data, held_out, share):
    project.config["data"] = {"train": "train.jsonl", **data}
    run = project.gate("-k", f"{CODE} or {SHARE}")

    assert (run.outcome(CODE), run.outcome(SHARE)) == ("passed", share), run.screen
    assert run.check(CODE)["evidence"]["rows"] == run.check(SHARE)["evidence"]["rows"] == held_out
    assert all(finding["where"].startswith("config.yaml:") for finding in run.findings(SHARE))


# --- the share --------------------------------------------------------------------------------------------------------


@pytest.fixture
def finding(judge):
    """The finding on a number of training rows and of validation rows; None if there is none."""

    def judged(train, validation, share=None):
        splits = [SimpleNamespace(rows=rows) for rows in (train, validation)]
        found = judge(validation_is_neither_too_small_nor_too_large, *splits, data={"validation_split": share})
        return found[0] if found else None

    return judged


@pytest.mark.parametrize(
    "train, validation, message, fix",
    [
        (600, 16, "16 validation rows of 616 are too few to tell much", "Move 15 rows from data.train to data.valid"),
        (
            95,
            5,
            "5 validation rows of 100 are too few to tell much",
            "Move 15 rows from data.train to data.validation.",
        ),
        (2000, 1, "1 validation row of 2,001 is too few to tell much", "Move 199 rows from data.train to data.valida"),
        (50_000, 99, "99 validation rows of 50,099 are too few to tell much", "Move 4,911 rows from data.train to "),
        (
            600,
            400,
            "400 validation rows of 1,000 are more than validation needs",
            "Move 300 rows from data.validation ",
        ),
    ],
)
def test_a_wrong_share_is_found_with_the_rows_to_move(finding, train, validation, message, fix):
    found = finding(train, validation)

    assert found.message == message
    assert found.fix.startswith(fix)


def test_a_wrong_share_is_found_with_the_share_to_set(finding):
    assert finding(570, 6, share=0.01).fix == "Set data.validation_split: 0.1 (about 58 rows)."
    assert finding(500, 500, share=0.5).fix == "Set data.validation_split: 0.1 (about 100 rows)."


@pytest.mark.parametrize(
    "train, validation",
    [(900, 100), (950, 50), (570, 30), (90, 10), (40, 10), (1_000_000, 400), (99_000, 1_000), (700, 300), (9, 1)],
)
def test_usual_shares_pass(finding, train, validation):
    assert finding(train, validation) is None


@pytest.mark.parametrize("rows", [10, 30, 99, 150, 151, 300, 301, 599, 600, 999, 1000, 10**6])
def test_the_share_that_is_suggested_passes(finding, rows):
    held_out = round(rows * share_to_hold_out(rows))

    assert finding(rows - held_out, held_out) is None

"""Selecting checks: a fast inner loop that can never clear a run."""

import pytest

from preflight.registry import shipped


def outcomes(run):
    return {check["code"]: check["outcome"] for check in run.report["checks"]}


@pytest.mark.parametrize(
    "arguments, codes",
    [
        (("-k", "CFG-105"), {"CFG-105"}),
        (("-k", "learning-rate"), {"CFG-105"}),
        (("-k", "CFG-103 or warmup-enabled"), {"CFG-103", "CFG-106"}),
        (("-m", "preflight(code='META-001')"), {"META-001"}),
        (("-m", "preflight(section=4) and preflight(name='epochs')"), {"CFG-119"}),
    ],
)
def test_codes_names_and_metadata_select(project, arguments, codes):
    run = project.gate(*arguments)

    assert {code for code, outcome in outcomes(run).items() if outcome != "not-run"} >= codes
    assert {code for code, outcome in outcomes(run).items() if outcome == "passed"} == codes
    assert (run.code, run.report["verdict"]) == (0, "partial")
    total = len(run.report["checks"])
    assert f"partial run, no clearance: {len(codes)} of {total} checks ran" in run.screen
    assert not (project.folder / "run" / "preflight" / "clearance.json").exists()


def test_required_checks_can_be_selected(project):
    run = project.gate("-m", "preflight(severity='required')")

    ran = {code for code, outcome in outcomes(run).items() if outcome != "not-run"}
    required = {check["code"] for check in run.report["checks"] if check["severity"] == "required"}
    assert ran == required
    assert run.report["verdict"] == "partial"


def test_deselecting_one_check_costs_the_clearance(project):
    run = project.gate("--deselect", "checks/setup/learning_rate.py::the_learning_rate_is_in_range")

    assert [code for code, outcome in outcomes(run).items() if outcome == "not-run"] == ["CFG-105"]
    assert run.check("CFG-105")["reason"] == "deselected, or the run was cut off before it"
    assert (run.code, run.report["verdict"]) == (0, "partial")


def test_ignoring_a_file_costs_the_clearance(project):
    run = project.gate("--ignore", str(shipped()["CFG-105"].path))

    assert run.outcome("CFG-105") == "not-run"
    assert run.report["verdict"] == "partial"


def test_a_conftest_that_drops_checks_costs_the_clearance(project):
    project.text("def pytest_collection_modifyitems(items):\n    del items[3:]\n", "conftest.py")

    run = project.gate()

    assert run.report["counts"]["not-run"] == len(run.report["checks"]) - 3
    assert run.report["verdict"] == "partial"


def test_stopping_at_the_first_failure_is_red(project):
    run = project.set(lora={"r": 4096}).gate("-x")

    assert run.code == 1
    assert run.report["verdict"] == "red"
    assert run.outcome("CFG-103") == "failed"
    assert run.outcome("CFG-105") == "not-run"


def test_a_failure_in_a_selection_is_red(project):
    run = project.set(training={"learning_rate": 0.5}).gate("-k", "CFG-105")

    assert (run.code, run.report["verdict"]) == (1, "red")
    assert run.report["why"] == "1 check blocks: CFG-105"


def test_selecting_nothing_is_no_success(project):
    run = project.gate("-k", "no_such_check")

    assert run.code == 5
    assert run.report["verdict"] == "partial"

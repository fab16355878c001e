"""META-001: every waiver is known, current, allowed and used."""

from datetime import date, timedelta

import pytest

CODE = "META-001"
TODAY = date.today()


def waiver(code, **more):
    return {"code": code, "reason": "Agreed.", "by": "Ada", "expires": TODAY + timedelta(30), **more}


# What makes DATA-104 warn and CFG-105 fail, so that waivers of them are used.
COPIES = {"gate": {"thresholds": {"DATA-104": {"max_fraction": 0.0}}}}
HOT = {"training": {"learning_rate": 0.5}}


@pytest.mark.parametrize(
    "entry, message",
    [
        pytest.param(waiver("DATA-999"), "there is no check DATA-999", id="unknown code"),
        pytest.param(waiver("DATA-100"), "DATA-100 can't be waived: Every data file exists", id="unwaivable"),
        pytest.param(
            waiver("CFG-105", expires=date(2020, 1, 31)), "the waiver for CFG-105 expired on 2020-01-31", id="expired"
        ),
        pytest.param(
            waiver("CFG-105", expires=TODAY - timedelta(1)), "the waiver for CFG-105 expired on", id="expired yesterday"
        ),
    ],
)
def test_waivers_that_may_not_waive_are_found(project, expect, entry, message):
    project.set(gate={"waivers": [entry]}, **HOT)
    (finding,) = expect(CODE, "warned")

    assert finding["message"].startswith(message)
    assert finding["where"].startswith("config.yaml:")
    assert finding["fix"] == f"Delete the waiver for {entry['code']} or correct it."
    assert expect("CFG-105", "failed")


def test_a_waiver_that_waives_nothing_is_found(project):
    run = project.set(gate={"waivers": [waiver("CFG-105")]}).gate()
    (finding,) = run.findings(CODE)

    assert run.outcome(CODE) == "warned"
    assert finding["message"] == "the waiver for CFG-105 waives nothing: the check passes"
    assert finding["where"].startswith("config.yaml:")
    assert run.report["verdict"] == "green"


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(waiver("CFG-105"), id="of a required check"),
        pytest.param(waiver("CFG-105", expires=TODAY), id="expires today"),
        pytest.param(waiver("CFG-105", expires=str(TODAY)), id="a date in quotes"),
    ],
)
def test_a_valid_waiver_passes_and_waives(project, entry):
    run = project.set(gate={"waivers": [entry]}, **HOT).gate("-k", f"{CODE} or CFG-105")

    assert run.outcome(CODE) == "passed", run.screen
    assert run.outcome("CFG-105") == "waived"
    assert run.findings("CFG-105")  # it still runs and still says what it found
    assert run.check(CODE)["evidence"] == {"waivers": ["CFG-105"], "refused": 0}


def test_a_waiver_for_a_check_of_the_other_stage_is_left_alone(project):
    run = project.set(gate={"waivers": [waiver("POST-101")]}).gate()

    assert run.outcome(CODE) == "passed", run.screen


def test_a_waived_run_is_green_and_says_who_waived(project):
    rows = (project.folder / "train.jsonl").read_text().splitlines()
    project.text("\n".join([*rows, rows[0]]))
    run = project.set(**COPIES).set(gate={"waivers": [waiver("DATA-104")]}).gate()

    assert run.report["verdict"] == "green", run.screen
    assert run.outcome("DATA-104") == "waived"
    assert run.check("DATA-104")["reason"].startswith("waived by Ada until ")
    assert run.outcome(CODE) == "passed"


def test_without_waivers_it_passes(project, expect):
    assert expect(CODE, "passed") == []

"""Waivers: which count, which don't, and how the gate says so."""

from datetime import date

import pytest

from preflight.config import load_config
from preflight.registry import shipped
from preflight.waivers import Waivers, judge_gate_section


def waiver(code="CFG-103", **changes):
    return {"code": code, "reason": "known", "by": "me", "expires": "2030-06-30", **changes}


def sort(project, *waivers, today=date(2030, 1, 1)):
    config = load_config(project.set(gate={"waivers": list(waivers)}).write())
    checks = {code: check for code, check in shipped().items() if check.stage == "preflight"}
    return Waivers.of(config, checks, today)


@pytest.mark.parametrize("day, counts", [(29, True), (30, True), (31, False)])
def test_a_waiver_counts_through_its_last_day(project, day, counts):
    found = sort(project, waiver(), today=date(2030, 6, day) if day < 31 else date(2030, 7, 1))

    assert (found.get("CFG-103") is not None) == counts
    if not counts:
        assert found.refused[0][2] == "the waiver for CFG-103 expired on 2030-06-30"


@pytest.mark.parametrize(
    "code, words",
    [
        ("CFG-999", "there is no check CFG-999"),
        ("DATA-100", "DATA-100 can't be waived: "),
        ("USER-001", "no check U"),
    ],
)
def test_a_waiver_that_may_not_waive(project, code, words):
    found = sort(project, waiver(code), waiver())

    (place, refused, reason) = found.refused[0]
    assert (refused, found.get(code)) == (code, None)
    assert words in reason
    assert place.startswith("config.yaml:")
    assert found.get("CFG-103").by == "me"


def test_a_waiver_for_the_other_stage_is_left_alone(project):
    found = sort(project, waiver("POST-105"))

    assert (dict(found.by_code), found.refused) == ({}, ())


def test_a_waived_check_still_runs_and_shows_what_it_found(project):
    run = project.set(lora={"r": 128}, gate={"waivers": [waiver(expires="2999-01-01")]}).gate()

    assert (run.code, run.report["verdict"]) == (0, "green"), run.screen
    assert run.outcome("CFG-103") == "waived"
    assert run.findings("CFG-103")
    assert "waived by me until 2999-01-01: known" in run.screen


def test_an_expired_waiver_waives_nothing_and_is_found(project):
    run = project.set(lora={"r": 128}, gate={"waivers": [waiver(expires="2020-01-01")]}).gate()

    assert (run.code, run.outcome("CFG-103"), run.outcome("META-001")) == (1, "failed", "warned")
    assert "expired on 2020-01-01" in run.findings("META-001")[0]["message"]


@pytest.mark.parametrize("strict, code, outcome", [((), 0, "warned"), (("--preflight-strict",), 1, "failed")])
def test_a_waiver_that_waives_nothing_is_found(project, strict, code, outcome):
    run = project.set(gate={"waivers": [waiver(expires="2999-01-01")]}).gate(*strict)

    assert (run.code, run.outcome("META-001")) == (code, outcome)
    assert run.findings("META-001")[0]["message"] == "the waiver for CFG-103 waives nothing: the check passes"
    assert run.findings("META-001")[0]["where"].startswith("config.yaml:")


def test_a_check_that_cannot_be_waived_blocks(project):
    project.text("{\n")

    run = project.set(gate={"waivers": [waiver("DATA-100", expires="2999-01-01")]}).gate()

    assert (run.code, run.outcome("DATA-100"), run.outcome("META-001")) == (1, "failed", "warned")


@pytest.mark.parametrize(
    "gate, words",
    [
        ({"severity": {"CFG-104": "required"}}, []),
        ({"thresholds": {"CFG-105": {"low": 1e-5}}}, []),
        ({"severity": {"CFG-199": "advice"}}, ["there is no check CFG-199. Did you mean CFG-"]),
        ({"severity": {"DATA-100": "required"}}, []),
        ({"severity": {"DATA-100": "recommended"}}, ["DATA-100 can't be lowered"]),
        ({"thresholds": {"META-001": {"x": 1}}}, ["META-001 has no threshold 'x'; it has none"]),
        ({"thresholds": {"CFG-105": {"low": "abc"}}}, ["expected a number such as 0.0001, got 'abc'"]),
        (
            {"severity": {"CFG-999": "advice"}, "thresholds": {"CFG-999": {}, "CFG-105": {"hi": 1}}},
            ["there is no check", "there is no check", "no threshold 'hi'"],
        ),
    ],
)
def test_a_gate_section_is_judged_by_the_registry(project, gate, words):
    """Every fault at once, each with its place."""
    path = project.set(gate=gate).write()
    problems = judge_gate_section(load_config(path), shipped())

    assert len(problems) == len(words)
    assert all(word in problem for word, problem in zip(words, problems, strict=True))
    assert all(problem.startswith("config.yaml:") for problem in problems)

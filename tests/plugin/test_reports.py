"""JUnit and report.json: every outcome as machines read it, alone and with xdist."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from preflight.report.schema import validate

HEAD = "from preflight import *\n"
OUTCOMES = {
    "USER-001": ("passed", "required", "pass"),
    "USER-002": ("failed", "required", "assert False, 'no'"),
    "USER-003": ("warned", "recommended", "assert False, 'no'"),
    "USER-004": ("waived", "required", "assert False, 'no'"),
    "USER-005": ("not-applicable", "required", "not_applicable('nothing to judge')"),
    "USER-006": ("not-available", "required", "not_available('no weights')"),
    "USER-007": ("not-available", "recommended", "not_available('no weights')"),
    "USER-008": ("error", "advice", "raise KeyError('oops')"),
}
WAIVER = {"code": "USER-004", "reason": "known", "by": "me", "expires": "2999-01-01"}
FAILURES = {"USER-002", "USER-006", "USER-008"}


@pytest.fixture
def all_outcomes(project):
    """A project with an own check for every outcome that a check can come to."""
    (project.folder / "my_checks").mkdir()
    for code, (outcome, severity, body) in OUTCOMES.items():
        name = f"{outcome}-{code[-1]}"
        meta = f"'{code}', '{name}', severity={severity!r}, section=1, item='Ours'"
        text = (
            f"{HEAD}@check({meta})\ndef ours_{code[-1]}(evidence):\n    evidence('seen', code='x', n=1)\n    {body}\n"
        )
        project.text(text, f"my_checks/{code}.py")
    return project.set(gate={"checks": ["my_checks"], "waivers": [WAIVER]})


def test_every_outcome_in_junit(all_outcomes):
    """One test case a check; only what blocks is a failure."""
    run = all_outcomes.gate("-k", "USER", "--junitxml", "junit.xml")

    cases = {}
    for case in ElementTree.parse(all_outcomes.folder / "junit.xml").iter("testcase"):
        properties = {each.get("name"): each.get("value") for each in case.iter("property")}
        assert len(list(case.iter("property"))) == len(properties)
        assert properties["code"] not in cases
        cases[properties["code"]] = (case, properties)
    assert set(cases) == set(OUTCOMES)
    for code, (outcome, severity, _) in OUTCOMES.items():
        case, properties = cases[code]
        wanted = {"code": code, "name": f"{outcome}-{code[-1]}", "severity": severity, "outcome": outcome, "n": "1"}
        assert properties == wanted
        assert bool([*case.iter("failure"), *case.iter("error")]) == (code in FAILURES), code
    assert run.code == 1


def test_every_outcome_in_the_report(all_outcomes):
    run = all_outcomes.gate("-k", "USER")

    validate(run.report)
    assert {code: run.outcome(code) for code in OUTCOMES} == {code: outcome for code, (outcome, *_) in OUTCOMES.items()}
    assert run.check("USER-004")["reason"] == "waived by me until 2999-01-01: known"
    assert run.report["counts"]["not-available"] == 2
    assert run.report["why"] == "3 checks block: USER-002, USER-006, USER-008"


def test_reports_of_each_verdict_obey_the_schema(project):
    green = project.gate().report
    partial = project.gate("-k", "CFG-105").report
    red = project.set(training={"learning_rate": 0.5}).gate().report

    for report, verdict in ((green, "green"), (partial, "partial"), (red, "red")):
        validate(report)
        assert report["verdict"] == verdict
    assert {"config", "train.jsonl", "prepared train"} <= set(green["digests"])
    assert partial["digests"] == red["digests"] == {}
    assert green["next"] == "preflight train config.yaml"


def test_a_report_is_whole_or_not_there(project):
    project.gate("-k", "CFG-105")

    folder = project.folder / "run" / "preflight"
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]


def comparable(report):
    """What must not depend on how the checks were distributed; free memory, disk and clock change by themselves."""
    checks = {check["code"]: {**check, "seconds": 0} for check in report["checks"]}
    for code, check in checks.items():
        if code.startswith("HW-") or code == "ENV-111":
            del check["evidence"], check["summary"]
    return {**report, "checks": checks, "started": "", "seconds": 0}


def test_two_workers_report_what_one_process_does(all_outcomes, shell):
    alone = all_outcomes.gate().report
    ran = shell("--preflight", "config.yaml", "-n", "2", "--junitxml", "junit.xml")

    parallel = json.loads(Path(all_outcomes.folder, "run", "preflight", "report.json").read_text())
    assert ran.code == 1, ran.screen
    assert comparable(parallel) == comparable(alone)
    assert len(list(ElementTree.parse(all_outcomes.folder / "junit.xml").iter("testcase"))) == len(alone["checks"])
    assert ran.screen.count("USER-003 warned-3") == 2  # its line, and its finding
    assert "= RED in " in ran.screen


def test_half_a_character_crosses_from_a_worker(project, own_check, shell):
    """JSON data may hold half a surrogate pair, which nothing that is written as UTF-8 can."""
    own_check("report_findings([Finding('odd \\ud83d text')])")

    ran = shell("--preflight", "config.yaml", "-n", "1", "-k", "USER-001")

    assert ran.code == 1, ran.screen
    assert "odd \\ud83d text" in ran.screen
    assert "INTERNALERROR" not in ran.screen


@pytest.mark.parametrize(
    "body, conftest, words",
    [
        ("import os\nos._exit(3)", "", "crashed while running"),
        (
            "pass",
            "import os\n\ndef pytest_runtest_logstart():\n    assert 'PYTEST_XDIST_WORKER' not in os.environ, 'hook'\n",
            "no clearance: pytest had an internal error",
        ),
    ],
    ids=["worker-dies", "worker-breaks"],
)
def test_a_worker_that_ends_early_is_red(project, own_check, shell, body, conftest, words):
    """xdist itself ends the second of these with exit status 0."""
    own_check(body)
    project.text(conftest, "conftest.py")

    ran = shell("--preflight", "config.yaml", "-n", "1", "-k", "USER-001")

    assert ran.code != 0
    assert "= RED in " in ran.screen
    assert words in ran.screen

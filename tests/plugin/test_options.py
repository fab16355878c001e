"""The command line: stages, strictness, where artefacts go, and pytest's own ways to look and select."""

import json

import pytest

from preflight.registry import shipped


def clearance_of(project):
    return project.folder / "run" / "preflight" / "clearance.json"


def test_both_stages_at_once_are_refused(project, shell):
    ran = shell("--preflight", "config.yaml", "--postflight", "config.yaml")

    assert ran.code == 4
    assert "not both" in ran.screen
    assert "Traceback" not in ran.screen


@pytest.mark.parametrize("stage", ["preflight", "postflight"])
def test_a_stage_runs_its_own_checks(project, stage):
    run = project.gate("--co", "-q", stage=stage)

    wanted = [code for code, check in shipped().items() if check.stage == stage]
    listed = [line.split()[0] for line in run.screen.splitlines() if line.startswith("  ")]
    assert sorted(listed) == sorted(wanted)
    assert f"{len(wanted)} tests collected" in run.screen


def test_a_postflight_without_a_run_says_what_to_do(project):
    run = project.gate(stage="postflight")

    assert run.code == 1
    assert run.report["stage"] == "postflight"
    assert not [check["code"] for check in run.report["checks"] if check["outcome"] == "error"]
    assert "preflight train config.yaml" in run.screen


def test_strict_makes_recommended_checks_block(project):
    project.set(lora={"r": 64})

    lenient = project.gate("-k", "CFG-104")
    strict = project.gate("-k", "CFG-104", "--preflight-strict")

    assert (lenient.code, lenient.outcome("CFG-104")) == (0, "warned")
    assert (strict.code, strict.outcome("CFG-104")) == (1, "failed")
    assert strict.check("CFG-104")["severity"] == "required"


def test_a_severity_in_the_config_raises_and_lowers(project):
    project.set(lora={"r": 64}, training={"learning_rate": 0.5})
    project.set(gate={"severity": {"CFG-104": "required", "CFG-105": "recommended"}})

    run = project.gate("-k", "CFG-104 or CFG-105")

    assert run.code == 1
    assert (run.outcome("CFG-104"), run.outcome("CFG-105")) == ("failed", "warned")


def test_output_moves_every_artefact(project, tmp_path):
    run = project.gate("--preflight-output", "elsewhere")

    assert run.code == 0, run.screen
    names = {path.name for path in (tmp_path / "elsewhere" / "preflight").iterdir()}
    assert {"report.json", "report.html", "clearance.json", "prepared"} <= names
    assert not (tmp_path / "run").exists()
    assert "elsewhere/preflight/clearance.json" in run.screen


def test_listing_neither_deletes_nor_writes(project):
    old = clearance_of(project)
    old.parent.mkdir(parents=True)
    old.write_text("old")

    run = project.gate("--co")

    assert run.code == 0
    assert "CFG-105  the learning rate is in range  (required)" in run.screen
    assert old.read_text() == "old"
    assert run.report is None
    assert [path.name for path in old.parent.iterdir()] == ["clearance.json"]


def test_quiet_prints_the_verdict_and_what_it_rests_on(project):
    run = project.set(training={"learning_rate": 0.5}).gate("-q", "-k", "CFG-105 or CFG-103")

    assert "CFG-103" not in run.screen
    assert "CFG-105 learning-rate" in run.screen
    assert "fix: Set training.learning_rate: 2.0e-04." in run.screen
    assert "= RED in " in run.screen


def test_the_report_is_there_without_a_terminal(project, shell):
    ran = shell("--preflight", "config.yaml", "-p", "no:terminal", "-k", "CFG-105")

    report = json.loads((project.folder / "run" / "preflight" / "report.json").read_text())
    assert ran.code == 0
    assert ran.screen == ""
    assert report["verdict"] == "partial"

"""What depends on the machine is judged again where the run trains: one that does not pass is refused, in words."""

import json
import os
from types import SimpleNamespace

import pytest

from preflight.clearance import Refused
from preflight.config import load_config
from preflight.trainer import recheck
from preflight.trainer.run import main

A100 = {"name": "A100", "memory": 79 * 2**30, "capability": [8, 0], "bf16": True}


@pytest.fixture
def ask(project):
    """`ask(cards)`: judge the machine for a run that was cleared for these cards; what the trainer says."""

    def judge(gpus=()):
        folder = project.folder / "run" / "preflight"
        folder.mkdir(parents=True, exist_ok=True)
        target = {"local": False, "gpus": list(gpus), "cuda": None, "driver": None}
        (folder / "clearance.json").write_text(json.dumps({"predicate": {"target": target}}))
        config = load_config(project.write())
        return recheck.finish(config, recheck.start(config))

    return judge


def test_a_run_that_was_cleared_for_a_card_is_refused_without_one(project, capsys):
    project.set(hardware={"gpu": "A100", "memory_gib": 80, "disk_gib": 100}, training={"max_steps": 2})
    config = project.clear()
    capsys.readouterr()

    assert main([str(config)]) == 3
    said = capsys.readouterr().err
    assert "refused: this machine does not pass the checks that depend on it:" in said
    assert "ENV-140 cleared-machine: config.yaml:" in said
    assert "torch can use 0 cards here, and the run was cleared for 1" in said
    assert "expected 1 card: A100 (79.1 GiB)" in said
    assert "clear the run again" in said
    assert "Traceback" not in said
    assert not (project.folder / "run" / "run.jsonl").exists()


def test_a_run_that_was_cleared_for_a_machine_like_this_one_trains_and_nothing_is_prepared_again(project, capsys):
    project.set(hardware={"count": 0, "disk_gib": 1}, training={"max_steps": 2})
    config = project.clear()
    gate = project.folder / "run" / "preflight"
    files = [*(gate / "prepared").rglob("*.*"), gate / "clearance.json", gate / "report.json"]
    kept = {file: file.stat().st_mtime_ns for file in files}

    assert main([str(config)]) == 0
    assert "this machine passes the " in capsys.readouterr().err
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    report = json.loads((gate / "machine" / "report.json").read_text())
    assert report["verdict"] == "green"
    assert report["config"]["resolved"]["hardware"]["target"] == "local"
    assert {"ENV-101", "ENV-140", "HW-101"} <= {check["code"] for check in report["checks"]}
    assert "CFG-105" not in {check["code"] for check in report["checks"]}


def test_waivers_of_the_config_hold(project, ask):
    project.set(gate={"waivers": [{"code": "ENV-140", "reason": "A smoke test.", "by": "A", "expires": "2999-01-01"}]})

    assert ask([A100]).startswith("this machine passes")


OWN = """
import os
from preflight import check, not_available
from preflight.findings import report_findings, Finding

@check("USER-001", "fails-there", severity="required", section=2, item="Ours", machine=True)
def it_is_not_here(config):
    assert config.hardware.target != "local", "it is here"

@check("USER-002", "unknown-there", severity="required", section=2, item="Ours", machine=True)
def it_can_be_told():
    not_available("no oracle at hand")

@check("USER-003", "broken-there", severity="advice", section=2, item="Ours", machine=True)
def it_does_not_break():
    raise KeyError("gone")

@check("USER-004", "elsewhere", severity="required", section=2, item="Ours")
def it_is_not_asked_again():
    assert False, "asked again"

@check("USER-005", "unknown-and-advice", severity="advice", section=2, item="Ours", machine=True)
def it_may_stay_unknown():
    not_available("who knows")
"""


def test_own_checks_are_asked_again_if_they_say_so_and_whatever_blocks_refuses(project, ask, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing")
    project.text(OWN, "own.py")
    project.set(gate={"checks": ["own.py"]})

    with pytest.raises(Refused) as refused:
        ask()
    said = str(refused.value)
    assert "USER-001 fails-there: own.py:8: it is here" in said
    assert "USER-002 unknown-there: no oracle at hand" in said
    assert "USER-003 broken-there: the check is broken: KeyError: 'gone'" in said
    assert "asked again" not in said
    assert "USER-005" not in said
    assert said.endswith("report.html")


def test_a_process_that_dies_without_a_report_refuses(project, ask):
    own = (
        OWN.partition("@check")[0] + '@check("USER-001", "dies", severity="advice", section=2, item="O", machine=True)'
    )
    project.text(f"{own}\ndef it_lives_to_the_end():\n    os._exit(0)\n", "own.py")
    project.set(gate={"checks": ["own.py"]})

    with pytest.raises(Refused, match="broke off with exit code 0"):
        ask()


@pytest.mark.parametrize(
    "code, report",
    [
        (1, {"verdict": "green", "why": "1 check, none blocks", "checks": []}),
        (0, {"verdict": "partial", "why": "1 of 3 checks ran", "checks": []}),
        (0, {"verdict": "red", "why": "no checks were found", "checks": []}),
    ],
)
def test_only_exit_code_and_verdict_together_let_it_train(project, code, report):
    config = load_config(project.write())
    recheck.report_of(config).parent.mkdir(parents=True)
    recheck.report_of(config).write_text(json.dumps(report))
    ended = SimpleNamespace(communicate=lambda: ("", None), returncode=code)

    with pytest.raises(Refused, match=report["why"]):
        recheck.finish(config, ended)


@pytest.mark.parametrize("world, launcher", [("1", None), ("2", str(os.getppid()))])
def test_the_question_is_put_to_one_process_that_knows_the_others(project, monkeypatch, world, launcher):
    asked = {}
    monkeypatch.setattr(recheck.subprocess, "Popen", lambda command, env, **_: asked.update(env))
    for name in (*recheck.RANKS, "WORLD_SIZE"):
        monkeypatch.setenv(name, world)

    recheck.start(load_config(project.write()))

    assert not recheck.RANKS & asked.keys()
    assert asked["WORLD_SIZE"] == world
    assert asked.get(recheck.LAUNCHER) == launcher
    assert asked["PYTHONSAFEPATH"] == "1"

"""No clearance outlives the run that replaces it, and none comes from a run that was cut off or cheated."""

import os
import signal
import subprocess
import sys
import time

import pytest

SLEEP = "import pathlib, time\npathlib.Path(config.folder, 'sleeping').touch()\ntime.sleep(60)"


def artefacts(project):
    folder = project.folder / "run" / "preflight"
    return sorted(path.name for path in folder.iterdir() if path.name != "prepared")


def put_old_clearance(project):
    old = project.folder / "run" / "preflight" / "clearance.json"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_text("old")
    return old


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 2), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_in_the_middle_leaves_no_clearance(project, own_check, number, code):
    own_check(SLEEP)
    old = put_old_clearance(project)
    command = [sys.executable, "-m", "pytest", "--preflight", "config.yaml", "-q", "-k", "USER-001 or META-001"]
    process = subprocess.Popen(command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 60
    while not (project.folder / "sleeping").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert not old.exists()  # gone from the moment the run started
    process.send_signal(number)
    screen, _ = process.communicate(timeout=60)

    assert process.returncode == code, screen
    assert set(artefacts(project)) <= {"report.json", "report.html"}
    if number == signal.SIGINT:
        assert "no clearance: the run was interrupted" in screen


@pytest.mark.parametrize("arguments", [("-k", "CFG-105"), ("-k", "CFG-105", "-x")])
def test_a_partial_run_drops_an_old_clearance(project, arguments):
    old = put_old_clearance(project)

    assert project.gate(*arguments).report["verdict"] == "partial"
    assert not old.exists()


def test_a_red_run_drops_the_clearance_of_a_green_one(project):
    assert project.gate().report["verdict"] == "green"
    assert "clearance.json" in artefacts(project)

    assert project.set(training={"learning_rate": 0.5}).gate().report["verdict"] == "red"
    assert "clearance.json" not in artefacts(project)


def test_a_config_that_cannot_be_read_leaves_nothing_to_train_on(project):
    """Its output folder is unknown, but the trainer reads the same config and refuses it too."""
    assert project.gate("--help").code == 0
    assert project.set(training={"no_such_key": 1}).gate().code == 4


EDITS = {
    "train.jsonl": "path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(True)[0])",
    "validation.jsonl": "path.unlink()",
    "config.yaml": "path.write_text(path.read_text().replace('0.0002', '0.0003'))",
    "my_checks/own.py": "path.write_text(path.read_text() + '# changed')",
}


@pytest.mark.parametrize("name, edit", EDITS.items(), ids=EDITS)
def test_what_changes_while_the_gate_runs_costs_the_clearance(project, own_check, name, edit):
    own_check(f"path = config.folder / {name!r}\n{edit}", section=4)  # section 4: the data was judged before

    run = project.gate()

    assert run.outcome("USER-001") == "passed", run.screen
    assert run.code == 1
    assert run.report["verdict"] == "red"
    assert run.report["why"] == f"{name} changed while the gate ran; run it again", run.screen
    assert "clearance.json" not in artefacts(project)
    assert not [name for name in artefacts(project) if name.startswith(".")]


def test_a_model_that_changes_while_the_gate_runs_costs_the_clearance(project, own_check, tiny, tmp_path):
    import shutil

    shutil.copytree(tiny, tmp_path / "model")
    project.set(model={"name_or_path": "model"})
    own_check("path = config.folder / 'model/config.json'\npath.write_text(path.read_text() + ' ')", section=4)

    assert project.gate().report["why"] == "model/config.json changed while the gate ran; run it again"


def test_a_comment_in_the_config_may_change_while_the_gate_runs(project, own_check):
    own_check("config.path.write_text(config.path.read_text() + '# a note')", section=4)

    assert project.gate().report["verdict"] == "green"


def test_a_crash_while_reports_are_written_leaves_no_clearance(project, monkeypatch):
    from preflight.report import html

    def full(report, path):
        assert (project.folder / "run" / "preflight" / "clearance.json").exists()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(html, "write_html", full)

    with pytest.raises(OSError, match="No space left"):
        project.gate()

    assert "clearance.json" not in artefacts(project)
    assert os.listdir(project.folder / "run" / "preflight")

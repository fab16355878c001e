"""The `preflight` command: usage, the checklist as text, and signals on their way to the trainer."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from preflight import __version__, cli
from preflight.registry import shipped


def test_no_command_shows_the_help(capsys):
    assert cli.main([]) == 2
    assert "usage: preflight" in capsys.readouterr().err


def test_an_unknown_command_is_answered_with_the_nearest(capsys):
    assert cli.main(["trian", "config.yaml"]) == 2
    error = capsys.readouterr().err
    assert "there is no command trian. Did you mean train?" in error
    assert "init, review, train, report, accept, list, explain" in error


def test_the_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"preflight {__version__}\n"


def test_the_list_has_every_check_once(capsys):
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    codes = [line.split()[0] for line in lines if line.startswith("  ")]
    assert codes == list(shipped())


def test_a_reader_who_leaves_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(command("list"), stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert run.returncode == 0, run.stderr
    assert not run.stderr


@pytest.mark.parametrize("word", ["DATA-104", "data-104", "no-duplicates"])
def test_a_check_is_explained_by_code_or_name(capsys, word):
    assert cli.main(["explain", word]) == 0
    said = capsys.readouterr().out
    assert said.startswith("DATA-104 no-duplicates: ")
    assert "gate: {thresholds: {DATA-104: {max_fraction: 0.01}}}" in said
    assert "waivers: [{code: DATA-104" in said


def test_every_explanation_fits_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    for code, meta in shipped().items():
        assert cli.main(["explain", code]) == 0
        said = capsys.readouterr().out
        # A word that is longer than the line stays whole: it is a path or a piece of YAML to copy.
        assert all(len(line) <= 60 or len(line.split()) == 1 for line in said.splitlines()), said
        assert ("It can't be waived" in said) is not meta.waivable
        for heading in ("What it checks", "Why it matters", "How to fix"):
            assert f"\n{heading}\n  " in said


def test_a_check_that_is_not_there_is_answered_with_the_nearest(capsys):
    assert cli.main(["explain", "DATA-10"]) == 2
    assert "there is no check DATA-10; nearest: DATA-10" in capsys.readouterr().err


def test_training_without_a_config_is_4_at_once(tmp_path, capsys):
    assert cli.main(["train", str(tmp_path / "none.yaml")]) == 4
    assert "no such file" in capsys.readouterr().err


def test_sigterm_saves_a_checkpoint_and_the_next_start_goes_on_from_it(project):
    steps = 80  # of one row each: long enough to be stopped on the way, short enough to be waited for
    project.set(training={"max_steps": steps, "per_device_train_batch_size": 1, "save_strategy": "no"})
    project.set(gate={"severity": {"RUN-102": "advice"}})  # random weights learn little in 80 steps
    assert project.gate().code == 0
    log = project.folder / "run" / "run.jsonl"

    process = start(project.folder)
    wait_for(log, process, lines=4)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 1, said
    assert "stopped by SIGTERM" in said
    (checkpoint,) = (project.folder / "run").glob("checkpoint-*")
    stopped = int(checkpoint.name.partition("-")[2])
    assert 3 <= stopped < steps

    process = start(project.folder)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert f"resuming from {checkpoint.name}" in said
    logged = [json.loads(line)["step"] for line in log.read_text().splitlines() if '"loss"' in line]
    assert logged == list(range(1, steps + 1))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from preflight.cli import main; sys.exit(main())", *arguments]


def start(folder: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command("train", "config.yaml"), cwd=folder, env=environment, text=True, **streams)


def wait_for(log: Path, process: "subprocess.Popen[str]", lines: int) -> None:
    """Wait until so many lines are logged."""
    for _ in range(1200):
        if log.is_file() and log.read_text().count("\n") >= lines:
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    raise AssertionError("nothing was logged in a minute")

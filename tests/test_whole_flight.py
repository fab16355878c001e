"""The whole flight as a user flies it: gate, training and postflight on the embedded model. The first to break."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent / "examples" / "smollm2"
BIN = Path(sys.executable).parent


def run(folder: Path, *command: str) -> subprocess.CompletedProcess:
    """One command of the README, in the project's folder."""
    keep_memory = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "99999999999"}  # as `tox -e demo` does
    env = {**os.environ, **keep_memory, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    command = (str(BIN / command[0]), *command[1:])
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_gate_train_postflight(smollm2, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("model", "runs"))
    (folder / "model").symlink_to(smollm2)
    out = folder / "runs" / "tarnwick-triage"

    refused = run(folder, "preflight", "train", "config.yaml")
    assert refused.returncode == 3, refused.stderr
    assert "no preflight clearance" in refused.stderr

    gate = run(folder, "pytest", "--preflight", "config.yaml", "--junitxml", "junit.xml")
    assert gate.returncode == 0, gate.stdout
    assert "GREEN" in gate.stdout
    assert (out / "preflight" / "clearance.json").is_file()

    early = run(folder, "pytest", "--postflight", "config.yaml")
    assert early.returncode == 1
    assert "broken" not in early.stdout, early.stdout

    trained = run(folder, "preflight", "train", "config.yaml")
    assert trained.returncode == 0, trained.stderr
    losses = [json.loads(line) for line in (out / "run.jsonl").read_text().splitlines()]
    held_out = [entry["eval_loss"] for entry in losses if "eval_loss" in entry]
    assert held_out[-1] < held_out[0]
    assert "20 monitors ok; saved" in trained.stderr
    assert (out / "flight" / "report.html").is_file()

    postflight = run(folder, "pytest", "--postflight", "config.yaml")
    assert postflight.returncode == 0, postflight.stdout
    report = json.loads((out / "postflight" / "report.json").read_text())
    seen = {check["code"]: check["evidence"] for check in report["checks"]}
    assert seen["POST-105"]["tuned"] < seen["POST-105"]["base"] - 0.5
    assert seen["POST-107"]["match"] > seen["POST-107"]["base"]

    screen = run(folder, "preflight", "report", "config.yaml")
    assert screen.returncode == 0, screen.stderr
    assert screen.stdout.count("GREEN") == 3  # gate, flight and postflight
    assert "report.html" in screen.stdout

    # The adapter is for this data only: one more row, and training is refused.
    with (folder / "data" / "train.jsonl").open("a", encoding="utf-8") as data:
        data.write('{"messages": []}\n')
    moved = run(folder, "preflight", "train", "config.yaml")
    assert moved.returncode == 3
    assert "data/train.jsonl changed: 652 rows when cleared, 653 now" in moved.stderr

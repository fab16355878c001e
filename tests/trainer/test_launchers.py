"""The trainer under the launchers people use; two real processes on the CPU over gloo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param(["torchrun", "--standalone", "--nproc_per_node", "2", "-m"], id="torchrun"),
        pytest.param(
            ["accelerate", "launch", "--cpu", "--num_machines", "1", "--num_processes", "1", "-m"], id="accelerate"
        ),
    ],
)
def test_it_trains_under_a_launcher(project, launcher):
    project.set(training={"max_steps": 4})
    config = project.clear()
    env = {**os.environ, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}

    done = subprocess.run(
        [BIN / launcher[0], *launcher[1:], "preflight.trainer", str(config)],
        cwd=project.folder,
        check=False,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in (project.folder / "run" / "run.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in steps if "loss" in entry] == [1, 2, 3, 4]
    card = json.loads((project.folder / "run" / "run-card.json").read_text())
    assert card["hardware"]["processes"] == (2 if launcher[0] == "torchrun" else 1)
    assert (project.folder / "run" / "adapter_model.safetensors").is_file()


def test_processes_that_are_refused_say_so(project):
    env = {**os.environ, "PYTHONSAFEPATH": "1"}
    command = ["torchrun", "--standalone", "--nproc_per_node", "2", "-m", "preflight.trainer"]

    done = subprocess.run(
        [BIN / command[0], *command[1:], str(project.write())],
        check=False,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode != 0
    assert "no preflight clearance" in done.stderr

"""What befalls a run: it is killed, told to end, short of disk or of a process. Started again, it ends the same.

All for real: processes of the trainer on the tiny model, signals, and a disk that is full.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

STEPS = 5
ALONE = [sys.executable, "-m", "preflight.trainer"]
TWO = [str(Path(sys.executable).parent / "torchrun"), "--standalone", "--nproc_per_node", "2", *ALONE[1:]]


@dataclass(frozen=True)
class Run:
    """One start of the trainer."""

    folder: Path
    process: subprocess.Popen

    @classmethod
    def start(cls, folder, launch=ALONE):
        env = {**os.environ, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
        with (folder / "said.txt").open("w") as said:
            return cls(
                folder, subprocess.Popen([*launch, "config.yaml"], cwd=folder, env=env, stdout=said, stderr=said)
            )

    @property
    def said(self):
        return (self.folder / "said.txt").read_text()

    def until(self, ready):
        """Wait, without missing a moment."""
        while not ready() and self.process.poll() is None:
            pass
        assert self.process.poll() is None, f"it ended before: {self.said}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self, code):
        assert self.process.wait(120) == code, self.said
        assert "Traceback" not in self.said
        return self.said


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def folder(project, kept, tmp_path):
    """A cleared project that writes a checkpoint at each step, and that nobody has trained yet."""
    if not (kept / "cleared").is_dir():
        project.set(
            lora={"lora_dropout": 0.1},
            training={"max_steps": STEPS, "save_strategy": "steps", "save_steps": 1, "eval_strategy": "no"},
        )
        project.clear()
        shutil.copytree(project.folder, kept / "cleared")
    return shutil.copytree(kept / "cleared", tmp_path / "again")


@pytest.fixture
def ends_as_undisturbed(kept, folder):
    """Start the run for the last time and compare: losses, gradients, and the adapter, byte by byte."""

    def compare(launch=ALONE):
        undisturbed = kept / f"whole-{len(launch)}"
        if not undisturbed.is_dir():
            shutil.copytree(kept / "cleared", undisturbed)
            Run.start(undisturbed, launch).end(0)
        said = Run.start(folder, launch).end(0)
        assert logged(folder) == logged(undisturbed)
        ours, theirs = (at / "run" / "adapter_model.safetensors" for at in (folder, undisturbed))
        assert ours.read_bytes() == theirs.read_bytes()
        assert json.loads((folder / "run" / "run-card.json").read_text())["loss"]
        return said

    return compare


def logged(folder):
    records = [json.loads(line) for line in (folder / "run" / "run.jsonl").read_text().splitlines()]
    return [(record["step"], record["loss"], record["grad_norm"]) for record in records if "loss" in record]


def has(path, lines=1):
    """Whether a file or folder is there, or a file has so many lines."""
    return path.exists() and (lines == 1 or len(path.read_text().splitlines()) >= lines)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(("checkpoint-3/optimizer.pt", 1), id="while a checkpoint is written"),
        *(
            pytest.param(moment, id=name, marks=pytest.mark.drill)
            for name, moment in {
                "before its first step": ("run.json", 1),
                "as the log begins": ("run.jsonl", 1),
                "in a step": ("run.jsonl", 4),
                "as a checkpoint begins": ("checkpoint-2", 1),
                "as its adapter is written": ("checkpoint-2/adapter_model.safetensors", 1),
                "as its tokenizer is written": ("checkpoint-2/tokenizer.json", 1),
                "as its random state is written": ("checkpoint-2/rng_state.pth", 1),
                "as it is complete": ("checkpoint-2/trainer_state.json", 1),
                "at the last step": (f"checkpoint-{STEPS}", 1),
                "as the result is written": ("adapter_model.safetensors", 1),
                "as its card is written": ("run-card.json", 1),
            }.items()
        ),
    ],
)
def test_a_run_that_was_killed_ends_as_undisturbed(folder, ends_as_undisturbed, moment):
    run, (path, lines) = Run.start(folder), moment

    run.until(lambda: has(folder / "run" / path, lines))
    run.kill()

    said = ends_as_undisturbed()
    assert "Traceback" not in said


@pytest.mark.drill
def test_a_run_that_is_killed_again_and_again_ends_as_undisturbed(folder, ends_as_undisturbed):
    for seed in range(6):
        run = Run.start(folder)
        run.until(lambda run=run: "training tiny" in run.said or "resuming from" in run.said)
        time.sleep(random.Random(seed).uniform(0, 2))
        if run.process.poll() is not None:
            break
        run.kill()

    ends_as_undisturbed()


def test_a_scheduler_that_ends_it_gets_a_checkpoint_within_its_grace(folder, ends_as_undisturbed):
    run = Run.start(folder)
    run.until(lambda: has(folder / "run" / "run.jsonl", 3))

    began = time.monotonic()
    run.process.terminate()

    said = run.end(1)
    assert time.monotonic() - began < 30
    assert "stopped by SIGTERM at step" in said
    assert "resuming from checkpoint-" in ends_as_undisturbed()


@contextmanager
def disk(path):
    """A small disk of its own instead of a folder, with what was in it."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    aside = path.rename(path.with_name("aside"))
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "preflight", path], check=False).returncode != 0:
        pytest.skip("no disk can be mounted here")
    try:
        yield shutil.copytree(aside, path, dirs_exist_ok=True)
    finally:
        subprocess.run(["umount", path], check=True)


@pytest.mark.parametrize(
    "room, file",
    [
        pytest.param(3000, "tokenizer.json", id="tokenizer"),
        *(
            pytest.param(room, file, id=file.partition(".")[0], marks=pytest.mark.drill)
            for room, file in {
                12: "adapter_model.safetensors",
                3520: "optimizer.pt",
                3572: "trainer_state.json",
            }.items()
        ),
    ],
)
def test_a_full_disk_ends_it_in_words_and_room_lets_it_go_on(folder, ends_as_undisturbed, room, file):
    """Something else fills the disk while the run goes on."""
    with disk(folder / "run") as run:
        training = Run.start(folder)
        training.until(lambda: has(run / "checkpoint-1" / "trainer_state.json"))
        free = shutil.disk_usage(run).free
        (run / "other").write_bytes(bytes(free - room * 1024))

        said = training.end(1)
        assert "can't train: " in said
        assert "MiB free there" in said
        assert "what the run saves does not fit" in Run.start(folder).end(3)

        (run / "other").unlink()
        said = ends_as_undisturbed()
        assert "is incomplete (" in said
        assert "resuming from checkpoint-" in said


@pytest.mark.drill
@pytest.mark.parametrize("rank", [0, 1])
def test_a_run_that_loses_a_process_ends_and_goes_on_with_as_many(folder, ends_as_undisturbed, rank):
    run = Run.start(folder, TWO)
    run.until(lambda: has(folder / "run" / "run.jsonl", 4))
    workers = [one for one in psutil.Process(run.process.pid).children() if "preflight.trainer" in one.cmdline()]
    ours = [one for one in workers if one.environ()["RANK"] == str(rank)]

    ours[0].send_signal(signal.SIGKILL)

    assert run.process.wait(60) != 0
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in workers)
    (folder / "said-first.txt").write_text(run.said)
    said = Run.start(folder).end(3)
    assert "is of a run on 2 processes" in said
    assert "resuming from checkpoint-" in ends_as_undisturbed(TWO)

"""The gate's side: whatever becomes of the process, there are facts."""

import json
import os
import time
from dataclasses import asdict, replace

import pytest

from preflight.config import load_config
from preflight.data.prepare import prepare
from preflight.model.tokenizer import load_tokenizer
from preflight.rehearsal import facts, plan, supervise
from preflight.target import Target

HERE = Target(local=True)


@pytest.fixture
def rehearse(project):
    """Rehearse the project as it stands."""
    config = load_config(project.write())
    data = prepare(config, load_tokenizer(config))
    rows = plan.rows_of(config, data)
    return lambda: supervise.rehearse(config, data, rows, HERE)


@pytest.fixture
def process(monkeypatch, tmp_path):
    """`process("kill -9 $$")`: what is started in the place of Python. `$4` is the file that the facts go to."""

    def make(script):
        path = tmp_path / "process"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(supervise.sys, "executable", str(path))

    return make


@pytest.mark.parametrize(
    "script, kind, message",
    [
        ("kill -9 $$", "killed", "SIGKILL"),
        ("kill -11 $$", "killed", "SIGSEGV"),
        ("echo libcudart.so is missing; exit 3", "error", "libcudart.so is missing"),
        ("exit 1", "error", "it ended without a word"),
    ],
)
def test_a_process_that_dies_leaves_facts(project, rehearse, process, script, kind, message):
    process(script)
    found = rehearse()

    assert (found.failure.kind, found.failure.message) == (kind, message)
    assert found.phase == "starting"
    assert not list((project.folder / "run" / "preflight").glob(".rehearsal-*"))


def test_a_process_that_takes_too_long_is_stopped(rehearse, process, monkeypatch):
    monkeypatch.setattr(supervise, "PATIENCE", {False: 1.0, True: 1.0})
    process("exec sleep 60")
    began = time.monotonic()

    assert rehearse().failure.kind == "timeout"
    assert time.monotonic() - began < 10


def test_facts_that_cant_be_read_are_said_to_be_gone(rehearse, process):
    process('echo "{" > "$4"')
    with pytest.raises(RuntimeError, match="damaged"):
        rehearse()


def test_a_failure_is_not_kept_for_the_next_time(project, rehearse, process):
    process("kill -9 $$")
    assert rehearse().failure is not None
    process("exit 1")
    assert rehearse().failure.kind == "error"

    path = project.folder / "run" / "preflight" / "rehearsal.json"
    whole = replace(facts.read(path), phase="done", failure=None)
    path.write_text(json.dumps(asdict(whole)))
    assert rehearse() == whole


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"learning_rate": 1e-4}},
        {"lora": {"r": 8}},
        {"model": {"dtype": "bfloat16"}},
        {"data": {"train": "validation.jsonl"}},
    ],
)
def test_what_changes_the_run_changes_the_key(project, change):
    def key():
        config = load_config(project.write())
        data = prepare(config, load_tokenizer(config))
        return supervise.key_of(config, data, plan.rows_of(config, data), HERE)

    before = key()
    project.set(gate={"severity": {"RUN-201": "advice"}}, task={"complexity": "simple"})
    assert key() == before
    project.set(**change)
    assert key() != before


def test_its_process_is_alone_and_says_nothing_to_anyone(project, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    config = load_config(project.write())
    env = supervise.environment(config)

    assert "WORLD_SIZE" not in env
    assert env["CUDA_VISIBLE_DEVICES"] == "3"
    assert env["HF_HUB_OFFLINE"] == env["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert env["PATH"] == os.environ["PATH"]
    spread = load_config(project.set(model={"device_map": "auto"}).write())
    assert supervise.environment(spread)["CUDA_VISIBLE_DEVICES"] == "3,4"


def test_facts_are_read_as_they_were_written(tmp_path):
    from preflight.rehearsal.facts import Batch, Failure, Memory, Rehearsal, Step

    found = Rehearsal(
        "key", "cpu", True, Batch([1], [2]), Batch([3], [4], ["train.jsonl:4"]), "done",
        failure=Failure("error", "no"), fresh=float("inf"), steps=[Step("longest", 1.0, 2.0, True)],
        memory=Memory(1, None, None, 2),
    )  # fmt: skip
    facts.write(asdict(found), tmp_path / "facts.json")

    assert facts.read(tmp_path / "facts.json") == found
    assert facts.read(tmp_path / "none.json") is None
    (tmp_path / "facts.json").write_text('{"key": 1}')
    assert facts.read(tmp_path / "facts.json") is None


def test_running_out_of_memory_is_told_from_other_errors():
    import torch

    from preflight.rehearsal.play import kind_of

    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**58)
    assert kind_of(raised.value) == "memory"
    assert kind_of(MemoryError()) == kind_of(torch.OutOfMemoryError("CUDA out of memory.")) == "memory"
    assert kind_of(RuntimeError("mat1 and mat2 must have the same dtype")) == kind_of(ValueError()) == "error"

"""ENV-112 data-workers, ENV-113 launcher."""

import pytest

from preflight.checks.environment import workers as checks
from preflight.driver import LAUNCHER
from preflight.target import Gpu

CARD = Gpu("Card", 2**34)
WHOLE = {
    "WORLD_SIZE": "2",
    "RANK": "0",
    "LOCAL_RANK": "0",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "a",
    "MASTER_PORT": "1",
}


@pytest.mark.parametrize(
    ("workers", "machine", "outcome", "words"),
    [
        (4, {}, "passed", ""),
        (16, {}, "warned", "dataloader_num_workers: 7"),  # eight cores
        (4, {"shm": 2**20}, "warned", "--shm-size"),
        (4, {"shm": None}, "passed", ""),
        (4, {"open_files": 256}, "warned", "ulimit -n 2048"),
        (0, {"shm": 0}, "not-applicable", ""),
    ],
)
def test_workers_need_cores_memory_and_files(project, expect, on_machine, workers, machine, outcome, words):
    on_machine(**machine)
    project.set(training={"dataloader_num_workers": workers})

    findings = expect("ENV-112", outcome)

    assert all(words in finding["fix"] for finding in findings)


@pytest.mark.parametrize(
    ("variables", "cards", "outcome", "words"),
    [
        (WHOLE, 2, "passed", ""),
        (WHOLE, 0, "passed", ""),  # on the CPU, by gloo
        (WHOLE, 1, "failed", "torchrun --nproc_per_node 1"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, 2, "failed", "unset WORLD_SIZE, RANK"),
        ({}, 2, "not-applicable", ""),
    ],
)
def test_a_launchers_variables_are_whole(expect, on_machine, monkeypatch, variables, cards, outcome, words):
    for name in WHOLE:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(checks, "_has_nccl", lambda: True)
    on_machine(gpus=(CARD,) * cards)

    findings = expect("ENV-113", outcome)

    assert all(words in finding["fix"] for finding in findings)


def test_the_trainers_second_look_knows_the_launcher(expect, on_machine, monkeypatch):
    """Its process has no rank of its own: it must not wait for the others."""
    for name in WHOLE:
        monkeypatch.delenv(name, raising=False)
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv(LAUNCHER, "1")
    monkeypatch.setattr(checks, "_has_nccl", lambda: True)
    on_machine(gpus=(CARD,) * 2)

    expect("ENV-113", "passed")


def test_cards_need_nccl(expect, on_machine, monkeypatch):
    for name, value in WHOLE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(checks, "_has_nccl", lambda: False)
    on_machine(gpus=(CARD,) * 2)
    (finding,) = expect("ENV-113", "failed")

    assert "NCCL" in finding["message"]

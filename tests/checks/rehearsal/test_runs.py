"""RUN-200 and RUN-206: the run starts, survives its longest batch, and leaves memory to spare."""

import json
from dataclasses import replace

import pytest

from preflight.checks.rehearsal.cost import the_steps_leave_memory_to_spare
from preflight.checks.rehearsal.runs import the_run_starts_and_survives_its_longest_batch
from preflight.findings import NotAvailable
from preflight.rehearsal.facts import Failure, Memory

RUNS, COST = the_run_starts_and_survives_its_longest_batch, the_steps_leave_memory_to_spare  # RUN-200, RUN-206
CODES = [f"RUN-{number}" for number in range(200, 211)]
GIB = 2**30


@pytest.fixture
def ended(sound):
    """The facts of a rehearsal that ended on its longest batch."""

    def make(kind, message="CUDA out of memory. Tried to allocate 2.00 GiB"):
        phase = "training step 2 of 4, on the longest batch"
        return replace(sound(), phase=phase, failure=Failure(kind, message), parameters=None, trained=None, steps=[])

    return make


def test_a_rehearsal_that_comes_to_its_end_is_well(verdict, sound):
    assert verdict(RUNS, sound()) == []


@pytest.mark.parametrize(
    "training, fix",
    [
        pytest.param(
            {"gradient_checkpointing": False},
            "Set training.per_device_train_batch_size: 2 and gradient_accumulation_steps: 2, or "
            "gradient_checkpointing: true, or max_length: 50.",
            id="batches of four",
        ),
        pytest.param(
            {"per_device_train_batch_size": 1, "gradient_checkpointing": True},
            "Set training.max_length: 50.",
            id="as small as can be",
        ),
    ],
)
@pytest.mark.parametrize("kind, message", [("memory", "DefaultCPUAllocator: can't allocate"), ("killed", "SIGKILL")])
def test_running_out_of_memory_names_the_rows_and_a_smaller_batch(
    project, verdict, ended, training, fix, kind, message
):
    project.set(training=training)
    (finding,) = verdict(RUNS, ended(kind, message))

    assert finding.message == "memory runs out while training step 2 of 4, on the longest batch"
    assert finding.expected == "room for 2 rows of up to 100 tokens (train.jsonl:9, train.jsonl:10)"
    assert finding.fix == fix


def test_a_run_that_finds_its_batch_size_itself_may_run_out_of_memory(project, verdict, ended):
    project.set(training={"auto_find_batch_size": True})

    assert verdict(RUNS, ended("memory")) is None


@pytest.mark.parametrize(
    "kind, message, said",
    [
        ("error", "mat1 and mat2 must have the same dtype", "the run crashes while training step 2 of 4"),
        ("killed", "SIGSEGV", "SIGSEGV ends the run while training step 2 of 4"),
    ],
)
def test_a_crash_is_told_in_the_librarys_words(verdict, ended, kind, message, said):
    (finding,) = verdict(RUNS, ended(kind, message))

    assert finding.message.startswith(said)
    assert finding.observed == message


def test_one_that_takes_too_long_blocks_only_if_it_was_asked_for(project, verdict, ended):
    project.set(gate={"rehearsal": None})
    assert verdict(RUNS, ended("timeout", "it was stopped after 5 minutes")) is None
    project.set(gate={"rehearsal": True})
    with pytest.raises(NotAvailable, match="stopped after 5 minutes"):
        verdict(RUNS, ended("timeout", "it was stopped after 5 minutes"))


@pytest.mark.parametrize(
    "memory, found",
    [
        pytest.param(Memory(2 * GIB, None, None, 16 * GIB), 0, id="on the host"),
        pytest.param(Memory(2 * GIB, 10 * GIB, 12 * GIB, 16 * GIB), 0, id="on a card"),
        pytest.param(Memory(2 * GIB, 14 * GIB, 15 * GIB + GIB // 2, 16 * GIB), 1, id="a card that is full"),
        pytest.param(None, None, id="not measured"),
    ],
)
def test_memory_is_to_be_left(project, verdict, sound, split, tmp_path, memory, found):
    train = split(600)
    train.fed, train.dataset = tmp_path / "data.arrow", range(600)
    findings = verdict(COST, replace(sound(), memory=memory), train=train)

    assert findings is None if found is None else len(findings) == found
    assert not found or findings[0].fix.startswith("Set training.per_device_train_batch_size: 2 and ")


def test_what_was_measured_here_says_nothing_of_another_machine(project, verdict, sound, split):
    project.set(hardware={"gpu": "A100", "memory_gib": 80})

    assert verdict(COST, sound(), train=split(9)) is None


def test_a_gate_rehearses_once_and_reads_the_facts_from_then_on(project):
    """The whole way: another process, its facts, eleven checks, and nothing left behind."""
    project.set(gate={"rehearsal": True}, training={"gradient_accumulation_steps": 2})
    run = project.gate("-k", "RUN-2")
    outcomes = {code: run.outcome(code) for code in CODES}

    assert outcomes.pop("RUN-201") == "warned"  # the model is random: it guesses
    assert set(outcomes.values()) == {"passed"}, run.screen
    folder = project.folder / "run" / "preflight"
    facts = json.loads((folder / "rehearsal.json").read_text())
    assert facts["memory"]["resident"] > 2**28
    assert (folder / "rehearsal.log").is_file()
    assert not [path for path in folder.glob(".rehearsal*") if path.is_dir()]
    assert not list((project.folder / "run").glob("checkpoint*"))

    before = (folder / "rehearsal.json").stat().st_mtime_ns
    again = project.gate("-k", "RUN-2")
    assert (folder / "rehearsal.json").stat().st_mtime_ns == before
    assert {code: again.outcome(code) for code in CODES} == {code: run.outcome(code) for code in CODES}


def test_a_run_that_cant_start_is_one_finding(project):
    project.set(gate={"rehearsal": True}, model={"attn_implementation": "flash_attention_2"})
    run = project.gate("-k", "RUN-2")
    (finding,) = run.findings("RUN-200")

    assert run.outcome("RUN-200") == "failed"
    assert finding["message"] == "the run crashes while loading the model"
    assert "flash" in finding["observed"].lower()
    assert {run.outcome(code) for code in CODES[1:]} == {"not-applicable"}
    assert "see RUN-200" in run.check("RUN-204")["reason"]


@pytest.mark.parametrize(
    "sections, reason",
    [
        pytest.param({"gate": {"rehearsal": False}}, "gate.rehearsal is off", id="off"),
        pytest.param(
            {"gate": {"rehearsal": None}, "hardware": {"gpu": "A100", "memory_gib": 80}},
            "hardware describes another machine; gate.rehearsal: true rehearses on this one",
            id="another machine",
        ),
        pytest.param(
            {"gate": {"rehearsal": True}, "data": {"train": "none.jsonl"}},
            "there is nothing to rehearse: no training example could be prepared",
            id="no data",
        ),
    ],
)
def test_why_there_is_no_rehearsal(project, sections, reason):
    run = project.set(**sections).gate("-k", "RUN-20")

    assert {run.outcome(code) for code in CODES[:-1]} == {"not-applicable"}
    assert run.check("RUN-200")["reason"].startswith(reason)

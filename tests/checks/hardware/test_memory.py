"""HW-110 memory-fits, HW-111 memory-margin: the traced step against a described card.

With label smoothing TRL computes all logits: the tiny model then needs 0.3 GiB more for each of its four rows.
"""

import pytest

ROW = {"text": "one two three four five six seven eight nine ten " * 40}  # about 400 tokens
LOGITS = {"label_smoothing_factor": 0.1, "per_device_train_batch_size": 4, "max_length": 512}


@pytest.fixture
def on_card(project, tmp_path_factory, monkeypatch):
    """Run the memory checks for a card of so many GiB."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "traces"))

    def run(gib, **training):
        project.rows([ROW] * 8)
        project.rows([ROW] * 2, "validation.jsonl")
        project.set(
            hardware={"gpu": "Some card", "memory_gib": gib},
            training={"assistant_only_loss": False, **LOGITS, **training},
        )
        return project.gate("-k", "HW-110 or HW-111")

    return run


def test_a_large_card_is_enough(on_card):
    run = on_card(24)

    assert run.outcome("HW-110") == run.outcome("HW-111") == "passed"
    evidence = run.check("HW-110")["evidence"]
    assert evidence["verdict"] == "fits"
    assert evidence["traced"] is True
    assert evidence["largest_batch"] == 8  # all rows of the data
    assert evidence["longest_rows"] > 512
    assert sum(evidence["parts"].values()) == evidence["allocated"]


def test_a_small_card_blocks_and_the_fix_fits(on_card):
    run = on_card(1.2)
    (finding,) = run.findings("HW-110")

    assert run.outcome("HW-110") == "failed"
    assert run.outcome("HW-111") == "not-applicable"
    assert "logits and loss" in finding["observed"]
    assert "4 x 4" in finding["why"]  # four rows of four hundred and some tokens
    assert "training.per_device_train_batch_size: 2" in finding["fix"]
    assert "training.gradient_accumulation_steps: 2" in finding["fix"]

    again = on_card(1.2, per_device_train_batch_size=2, gradient_accumulation_steps=2)

    assert again.outcome("HW-110") == again.outcome("HW-111") == "passed"


def test_a_card_that_is_just_enough_warns(on_card):
    needs = on_card(24).check("HW-110")["evidence"]
    run = on_card((needs["allocated"] + needs["context"]) / 2**30 + 0.01)
    (finding,) = run.findings("HW-111")

    assert run.outcome("HW-110") == "passed"
    assert run.outcome("HW-111") == "warned"
    assert "to spare" in finding["message"]
    assert "expandable_segments" in finding["fix"]


def test_nothing_fits_where_the_context_does_not(on_card):
    (finding,) = on_card(0.4).findings("HW-110")

    assert "None of the usual changes is enough" in finding["fix"]


def test_the_slack_is_a_threshold(on_card, project):
    needs = on_card(24).check("HW-110")["evidence"]
    project.set(gate={"thresholds": {"HW-111": {"slack": 1.0}, "HW-110": {"slack": 1.0}}})
    run = on_card((needs["reserved"] + needs["context"]) / 2**30 + 0.001)

    assert run.outcome("HW-111") == "passed"


def test_on_the_cpu_the_hosts_memory_counts(project):
    run = project.gate("-k", "HW-110 or HW-111")

    assert run.outcome("HW-110") == "passed"
    assert "CPU" in str(run.check("HW-110"))
    assert run.outcome("HW-111") == "not-applicable"


def test_other_processes_on_the_card_are_named():
    from preflight.driver import Process
    from preflight.model.memory import Job, Prediction
    from preflight.model.memory.words import others
    from preflight.strategy import Strategy
    from preflight.target import Gpu, Target

    card = Gpu("Card", 2**34, 2**30, processes=(Process(42, "python", 3 * 2**30), Process(7, None, None)))
    job = Job(model={}, weights="bfloat16", adapter=None, batch=1, length=8)
    found = Prediction(job, Target(local=True, gpus=(card,)), Strategy("single", 1), (0, 0), 0, 0, {})

    assert others(found) == "; besides this run there are python (pid 42) 3.0 GiB on the card"
    alone = Target(local=True, gpus=(Gpu("Card", 2**34),))
    assert not others(Prediction(job, alone, Strategy("single", 1), (0, 0), 0, 0, {}))

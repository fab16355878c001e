"""HW-101: checkpoints against the disk, of this machine and of described ones.

The adapter of this project has 7,168 parameters: a checkpoint is reckoned as 16 MiB of overhead and little more. A run
is 150 steps.
"""

import pytest

from preflight.checks.hardware import disk_space
from preflight.config import load_config

MIB, GIB = 2**20, 2**30


def on_disk(mib):
    return {"count": 0, "disk_gib": mib / 1024}


EVERY_10 = {"save_strategy": "steps", "save_steps": 10}  # 15 checkpoints


@pytest.mark.parametrize(
    "training, mib, fix",
    [
        pytest.param({}, 20, "Free 0.031 GiB, or write to a larger disk.", id="not even one"),
        pytest.param(EVERY_10, 200, "Set training.save_total_limit: 10, or free 0.25 GiB", id="too many"),
        pytest.param({"save_steps": 0.1}, 100, "Set training.save_total_limit: 4,", id="a share of the run"),
        pytest.param(
            {**EVERY_10, "save_total_limit": 9}, 150, "save_total_limit: 7,", id="too many in spite of a limit"
        ),
        pytest.param({"save_strategy": "epoch", "num_train_epochs": 5}, 80, "save_total_limit: 2,", id="one an epoch"),
        pytest.param({"save_strategy": "no"}, 10, "Free 0.016 GiB", id="the model alone"),
    ],
)
def test_a_disk_that_is_too_small(project, expect, training, mib, fix):
    project.set(hardware=on_disk(mib), training=training)

    (finding,) = expect("HW-101", "failed")

    assert fix in finding["fix"]
    assert finding["observed"] == f"{mib / 1024:.2g} GiB free"
    assert finding["where"] == load_config(project.folder / "config.yaml").where("hardware.disk_gib")


@pytest.mark.parametrize(
    "training, mib, checkpoints",
    [
        pytest.param({}, 40, 1, id="one at the end"),
        pytest.param(EVERY_10, 300, 15, id="all of them fit"),
        pytest.param({**EVERY_10, "save_total_limit": 10}, 200, 11, id="the advised limit"),
        pytest.param({**EVERY_10, "save_total_limit": 1}, 60, 2, id="one, and the next before it goes"),
        pytest.param({"save_strategy": "epoch", "num_train_epochs": 5}, 100, 5, id="one an epoch"),
        pytest.param({"save_strategy": "no"}, 20, 0, id="no checkpoints"),
        pytest.param({"save_total_limit": 5}, 40, 1, id="a limit above what is saved"),
    ],
)
def test_a_disk_that_is_large_enough(project, training, mib, checkpoints):
    run = project.set(hardware=on_disk(mib), training=training).gate("-k", "HW-101")

    assert run.outcome("HW-101") == "passed", run.screen
    assert run.check("HW-101")["evidence"]["checkpoints"] == checkpoints


@pytest.mark.parametrize(
    "model, training, bytes_each",
    [
        pytest.param({"dtype": "float32"}, {}, 12, id="float32 and two moments"),
        pytest.param({"dtype": "bfloat16"}, {}, 6, id="bfloat16 and two moments"),
        pytest.param({"dtype": "auto"}, {}, 12, id="what config.json says"),
        pytest.param({"dtype": "bfloat16"}, {"save_only_model": True}, 2, id="weights alone"),
    ],
)
def test_full_fine_tuning_saves_the_whole_model(project, model, training, bytes_each):
    project.set(lora=None, model=model, training=training)

    run = project.gate("-k", "HW-101 or CFG-102")

    parameters = run.check("CFG-102")["evidence"]["parameters"]
    weights = bytes_each if training else bytes_each // 3
    evidence = run.check("HW-101")["evidence"]
    assert evidence["needed_bytes"] == (bytes_each + weights) * parameters + 2 * 16 * MIB


@pytest.mark.parametrize("free, outcome", [(20 * MIB, "failed"), (GIB, "passed")])
def test_this_machine_is_judged_where_the_run_will_write(project, expect, monkeypatch, free, outcome):
    asked = []
    monkeypatch.setattr(disk_space, "free_bytes", lambda path: asked.append(path) or free)

    findings = expect("HW-101", outcome)

    assert asked == [project.folder / "run"]
    where = load_config(project.folder / "config.yaml").where("training.output_dir")
    assert [finding["where"] for finding in findings] == ([where] if outcome == "failed" else [])


def test_a_described_machine_without_a_disk_is_not_judged_by_this_ones(project, expect, monkeypatch):
    monkeypatch.setattr(disk_space, "free_bytes", lambda path: 0)
    project.set(hardware={"gpu": "A100", "memory_gib": 80})

    expect("HW-101", "not-applicable")

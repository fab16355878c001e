"""HW-101 disk-space and HW-120 downloads-fit: what the run writes against the disk, of this machine and of others.

A checkpoint of this project is 3.5 MiB, nearly all of it the tokenizer, and so is the model. A run is 150 steps.
"""

import json

import pytest

from preflight.checks.hardware import disk_space
from preflight.config import load_config

MIB, GIB = 2**20, 2**30
EVERY_10 = {"save_strategy": "steps", "save_steps": 10}  # 15 checkpoints


def on_disk(mib):
    return {"count": 0, "disk_gib": mib / 1024}


@pytest.mark.parametrize(
    ("training", "mib", "fix"),
    [
        pytest.param({}, 4, "Free 7.32 MiB, or write to a larger disk.", id="not even one"),
        pytest.param(EVERY_10, 40, "Set training.save_total_limit: 8, or free 59.1 MiB", id="too many"),
        pytest.param({"save_steps": 0.1}, 25, "Set training.save_total_limit: 4,", id="a share of the run"),
        pytest.param(
            {**EVERY_10, "save_total_limit": 9}, 36, "save_total_limit: 7,", id="too many in spite of a limit"
        ),
        pytest.param({"save_strategy": "epoch", "num_train_epochs": 5}, 18, "save_total_limit: 2,", id="one an epoch"),
        pytest.param({"save_strategy": "no"}, 3, "Free 3.62 MiB", id="the model alone"),
    ],
)
def test_a_disk_that_is_too_small(project, expect, training, mib, fix):
    project.set(hardware=on_disk(mib), training=training)

    (finding,) = expect("HW-101", "failed")

    assert fix in finding["fix"]
    assert finding["observed"] == f"{mib} MiB free"
    assert finding["where"] == load_config(project.folder / "config.yaml").where("hardware.disk_gib")


@pytest.mark.parametrize(
    ("training", "mib", "checkpoints"),
    [
        pytest.param({}, 8, 1, id="one at the end"),
        pytest.param(EVERY_10, 60, 15, id="all of them fit"),
        pytest.param({**EVERY_10, "save_total_limit": 8}, 40, 9, id="the advised limit"),
        pytest.param({**EVERY_10, "save_total_limit": 1}, 12, 2, id="one, and the next before it goes"),
        pytest.param({"save_strategy": "epoch", "num_train_epochs": 5}, 24, 5, id="one an epoch"),
        pytest.param({"save_strategy": "no"}, 4, 0, id="no checkpoints"),
        pytest.param({"save_total_limit": 5}, 8, 1, id="a limit above what is saved"),
    ],
)
def test_a_disk_that_is_large_enough(project, training, mib, checkpoints):
    run = project.set(hardware=on_disk(mib), training=training).gate("-k", "HW-101")

    assert run.outcome("HW-101") == "passed", run.screen
    assert run.check("HW-101")["evidence"]["checkpoints"] == checkpoints


def test_every_part_is_named(project, expect):
    project.set(hardware=on_disk(4), model={"dtype": "bfloat16"}, deployment={"merge": True, "engine": "llama.cpp"})

    (finding,) = expect("HW-101", "failed")

    assert finding["message"] == (
        "what the run saves does not fit: 1 checkpoint of 3.52 MiB, the model 3.45 MiB, the merged model 6.46 MiB, "
        "its GGUF file 3.04 MiB"
    )


@pytest.mark.parametrize(("free", "outcome"), [(4 * MIB, "failed"), (GIB, "passed")])
def test_this_machine_is_judged_where_the_run_will_write(project, expect, monkeypatch, free, outcome):
    asked = []
    monkeypatch.setattr(disk_space, "free_bytes", lambda path: asked.append(path) or free)

    findings = expect("HW-101", outcome)

    assert asked == [project.folder / "run"]
    where = load_config(project.folder / "config.yaml").where("training.output_dir")
    assert [finding["where"] for finding in findings] == ([where] if outcome == "failed" else [])


@pytest.mark.parametrize(
    ("finished", "outcome"), [(False, "passed"), (True, "failed"), (None, "failed")], ids=["broken off", "done", "new"]
)
def test_what_a_run_that_goes_on_has_saved_is_not_counted_twice(project, expect, monkeypatch, finished, outcome):
    monkeypatch.setattr(disk_space, "free_bytes", lambda path: 4 * MIB)
    (project.folder / "run" / "checkpoint-75").mkdir(parents=True)
    (project.folder / "run" / "checkpoint-75" / "optimizer.pt").write_bytes(bytes(4 * MIB))
    if finished is not None:
        (project.folder / "run" / "run.json").write_text(json.dumps({"finished": finished}), encoding="utf-8")

    expect("HW-101", outcome)


@pytest.mark.parametrize(("files", "outcome"), [(10, "failed"), (10_000, "passed"), (None, "passed")])
def test_a_file_system_without_inodes(project, expect, monkeypatch, files, outcome):
    monkeypatch.setattr(disk_space, "free_files", lambda path: files)

    assert [finding["observed"] for finding in expect("HW-101", outcome)] == ["10 free inodes"] * (outcome == "failed")


@pytest.mark.parametrize("code", ["HW-101", "HW-120"])
def test_a_described_machine_without_a_disk_is_not_judged_by_this_ones(project, expect, monkeypatch, code):
    monkeypatch.setattr(disk_space, "free_bytes", lambda path: 0)
    project.set(hardware={"gpu": "A100", "memory_gib": 80})

    expect(code, "not-applicable")


@pytest.mark.parametrize(
    ("mib", "hub", "outcome"),
    [
        (4, True, "passed"),  # HW-101 says it
        (12, True, "warned"),
        (12, False, "passed"),  # a folder goes there with the project
        (18, True, "passed"),
    ],
)
def test_a_model_of_the_hub_is_downloaded_there(project, expect, monkeypatch, tiny, mib, hub, outcome):
    """The run saves 7 MiB; the model has 6.1 MiB, the prepared data 0.2."""
    if hub:
        from preflight.model import files

        monkeypatch.setattr(files, "_snapshot", lambda *_: tiny)
        project.set(model={"name_or_path": "someone/tiny"})
    project.set(hardware=on_disk(mib))

    for finding in expect("HW-120", outcome):
        assert "6.07 MiB of base model" in finding["message"]


def test_on_this_machine_everything_is_fetched_already(expect):
    expect("HW-120", "not-applicable")

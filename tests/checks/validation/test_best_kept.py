"""POST-125: the best checkpoint is what lies in the output folder."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from preflight.checks.validation import best_kept
from preflight.config import load_config
from preflight.findings import NotApplicable, NotAvailable

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def run(project):
    """Two checkpoints of which the first is the best, and its weights in the output folder."""
    project.set(training={"load_best_model_at_end": True})
    folder = project.folder / "run"
    for step in (4, 8):
        state = {"global_step": step, "best_model_checkpoint": "elsewhere/run/checkpoint-4", "best_metric": 1.25}
        (folder / f"checkpoint-{step}").mkdir(parents=True)
        (folder / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps(state))
        save_file({"a": torch.full((2, 2), float(step)), "b": torch.zeros(3)}, folder / f"checkpoint-{step}" / WEIGHTS)
    shutil.copy(folder / "checkpoint-4" / WEIGHTS, folder)
    (folder / "run-card.json").write_text("{}")
    return folder


@pytest.fixture
def judged(project, judge):
    def findings():
        return judge(best_kept.the_best_checkpoint_is_what_was_saved, config=load_config(project.write()))

    return findings


def test_a_run_that_is_evaluated_keeps_its_best_by_itself(run, judged, project):
    """The config doesn't say so: it follows from eval_strategy, as tests/trainer/test_best.py shows of our trainer."""
    del project.config["training"]["load_best_model_at_end"]
    assert judged() == []

    shutil.copy(run / "checkpoint-8" / WEIGHTS, run)
    assert len(judged()) == 1


def test_the_best(run, judged):
    assert judged() == []


def test_the_best_in_another_width(run, judged):
    held = load_file(run / WEIGHTS)
    save_file({name: value.to(torch.bfloat16) for name, value in held.items()}, run / WEIGHTS)

    assert judged() == []


def test_the_last(run, judged):
    shutil.copy(run / "checkpoint-8" / WEIGHTS, run)

    (finding,) = judged()
    assert (
        finding.message == "the saved model is not that of the best checkpoint, checkpoint-4, but that of checkpoint-8"
    )
    assert finding.observed == "1 of 2 tensors differ: a"
    assert finding.expected == "those of checkpoint-4, whose metric is 1.25"
    assert finding.fix.startswith(f"Run cp {run}/checkpoint-4/*.safetensors {run}/")


def test_neither(run, judged):
    save_file({"a": torch.ones(2, 2), "c": torch.zeros(3)}, run / WEIGHTS)

    (finding,) = judged()
    assert finding.message.endswith("the best checkpoint, checkpoint-4")
    assert finding.observed == "3 of 3 tensors differ: a, b, c"


def test_a_run_elsewhere(run, judged, project):
    (run / "run-card.json").unlink()
    shutil.copy(run / "checkpoint-8" / WEIGHTS, run)
    assert len(judged()) == 1

    del project.config["training"]["load_best_model_at_end"]
    project.set(training={"eval_strategy": "steps", "eval_steps": 4})  # which would be best for our own trainer
    with pytest.raises(NotApplicable, match="trained elsewhere"):
        judged()


@pytest.mark.parametrize(
    "edit, reason",
    [
        pytest.param(lambda run: shutil.rmtree(run / "checkpoint-4"), "checkpoint-4, is gone", id="pruned"),
        pytest.param(lambda run: (run / "checkpoint-4" / WEIGHTS).unlink(), "is gone", id="without weights"),
        pytest.param(
            lambda run: (run / "checkpoint-8" / "trainer_state.json").write_text('{"global_step": 9}'),
            "knows of no best",
            id="no best",
        ),
        pytest.param(
            lambda run: [shutil.rmtree(path) for path in run.glob("checkpoint-*")], "no checkpoint is left", id="none"
        ),
    ],
)
def test_nothing_to_compare_with(run, judged, edit, reason):
    edit(run)

    with pytest.raises(NotApplicable, match=reason):
        judged()


def test_a_run_that_keeps_its_last(run, judged, project):
    project.set(training={"load_best_model_at_end": False})

    with pytest.raises(NotApplicable, match="is off"):
        judged()


def test_a_damaged_file_is_not_available(run, judged):
    (run / WEIGHTS).write_bytes((run / WEIGHTS).read_bytes()[:-3])

    with pytest.raises(NotAvailable, match="POST-102"):
        judged()

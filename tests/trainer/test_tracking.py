"""Trackers: `report_to` works as in transformers, and they get what the trainer measures."""

import json

import pytest

from preflight.trainer import recheck
from preflight.trainer.run import main

MEASURED = ("step_seconds", "wait_seconds", "tokens_per_second", "memory_resident", "supervised", "trained_norm")


def test_tensorboard_gets_all_that_the_run_log_has(project, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setattr(recheck, "start", lambda config: None)
    project.set(training={"max_steps": 3, "report_to": "tensorboard"})

    assert main([str(project.clear())]) == 0

    run = project.folder / "run"
    (events,) = (run / "runs").glob("*/events.out.tfevents.*")
    seen = EventAccumulator(str(events)).Reload()
    logged = [json.loads(line) for line in (run / "run.jsonl").read_text().splitlines()]
    for key in ("loss", "learning_rate", "grad_norm", *MEASURED):
        values = {scalar.step: scalar.value for scalar in seen.Scalars(f"train/{key}")}
        assert values == pytest.approx({each["step"]: each[key] for each in logged if key in each}), key
        assert list(values) == [1, 2, 3], key
    assert [scalar.step for scalar in seen.Scalars("eval/loss")] == [3]

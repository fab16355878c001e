"""Runs of other programs: which folders are theirs, and what their trainer_state.json says."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight import registry
from preflight.config import load_config
from preflight.findings import NotApplicable, NotAvailable
from preflight.flight.foreign import foreign, log_of, state_of
from preflight.flight.plan import plan_for
from preflight.judging import ask

MONITORS = {code: check for code, check in registry.load().items() if check.is_monitor}


@pytest.fixture
def config(project):
    (project.folder / "run").mkdir()
    (project.folder / "run" / "adapter_config.json").write_text("{}")
    return load_config(project.write())


def state(folder, history, step=100, **more):
    folder.mkdir(exist_ok=True)
    found = {"global_step": step, "max_steps": 100, "train_batch_size": 8, "log_history": history, **more}
    (folder / "trainer_state.json").write_text(json.dumps(found))


def history(losses, every=1, **columns):
    """What transformers keeps of a run: a record a logged step."""
    rates = 3e-4 * (1 - np.arange(len(losses)) / len(losses))
    return [
        {"step": every * (at + 1), "epoch": every * (at + 1) / 50, "loss": float(loss), "learning_rate": float(rate)}
        | {key: values[at] for key, values in columns.items()}
        for at, (loss, rate) in enumerate(zip(losses, rates, strict=True))
    ]


def falling(count=100, start=2.5, end=0.9):
    noise = np.random.default_rng(3).uniform(-0.05, 0.05, count)
    return end + (start - end) * np.exp(-4 * np.arange(count) / count) + noise


def judged(config):
    """What every monitor says of the run."""
    log = log_of(config)
    plan = plan_for(config, log)
    return {
        code: ask(check, check.severity, None, SimpleNamespace(**check.thresholds), run_log=log, plan=plan)
        for code, check in MONITORS.items()
    }


@pytest.mark.parametrize("ours", ["run.jsonl", "run-card.json", "run.json"])
def test_one_file_of_our_trainer_tells(config, ours):
    assert foreign(config)
    (config.output_dir / ours).write_text("{}")
    assert not foreign(config)


@pytest.mark.parametrize(
    "name, theirs",
    [
        pytest.param("adapter_model.safetensors", True, id="an adapter"),
        pytest.param("adapter_model.bin", True, id="an old adapter"),
        pytest.param("model-00001-of-00002.safetensors", True, id="a whole model"),
        pytest.param("pytorch_model.bin", True, id="an old whole model"),
        pytest.param("README.md", False, id="no model"),
    ],
)
def test_a_model_without_our_files_was_trained_elsewhere(config, name, theirs):
    (config.output_dir / "adapter_config.json").unlink()
    (config.output_dir / name).write_text("")

    assert foreign(config) == theirs


def test_nothing_trained_is_not_available(config):
    (config.output_dir / "adapter_config.json").unlink()

    with pytest.raises(NotAvailable, match=r"run `preflight train config\.yaml` first"):
        log_of(config)


def test_no_log_is_not_applicable(config):
    with pytest.raises(NotApplicable, match="copy that of the run's last checkpoint"):
        log_of(config)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '"loss"', "[" * 100000])
def test_a_damaged_log_is_not_available(config, text):
    (config.output_dir / "trainer_state.json").write_text(text)

    with pytest.raises(NotAvailable, match="copy it again"):
        log_of(config)


@pytest.mark.parametrize("log", [[], None, [1, "x"], [{"step": 3, "train_runtime": 2.0}], [{"loss": 1.0}]])
def test_a_log_without_losses_is_not_applicable(config, log):
    state(config.output_dir, log)

    with pytest.raises(NotApplicable, match="has no losses"):
        log_of(config)


def test_the_newest_state_counts(config):
    folder = config.output_dir
    state(folder / "checkpoint-9", history([3.0]), step=9)
    state(folder / "checkpoint-10", history([2.0]), step=10)
    (folder / "checkpoint-best").mkdir()
    assert state_of(folder)[0] == folder / "checkpoint-10" / "trainer_state.json"

    state(folder, history([1.0]), step=8)  # of an earlier run
    assert state_of(folder)[0] == folder / "checkpoint-10" / "trainer_state.json"
    state(folder, history([1.0]), step=10)
    assert state_of(folder)[0] == folder / "trainer_state.json"
    (folder / "trainer_state.json").write_text("{")
    assert state_of(folder)[0] == folder / "checkpoint-10" / "trainer_state.json"


def test_the_plan_is_the_logs_own(config):
    """The config says a rate of 2e-4, 4 rows and what TRL's defaults are; another program had others."""
    state(config.output_dir, history(falling(40), every=2))
    log = log_of(config)

    plan = plan_for(config, log)

    assert (plan.rate, plan.batch, plan.steps, plan.epoch, plan.warmup) == (3e-4, 8, 80, 50, 1)
    assert plan.first_loss is None


def test_a_healthy_run(config):
    records = history(falling(), grad_norm=[1.0] * 100)
    held_out = [{"step": step, "epoch": step / 50, "eval_loss": 2.5 - step / 100} for step in (25, 50, 75, 100)]
    state(config.output_dir, [*records, *held_out])

    found = judged(config)

    assert {
        code: result.outcome for code, result in found.items() if result.outcome not in ("passed", "not-applicable")
    } == {}
    for code in ("RUN-101", "RUN-102", "RUN-104", "RUN-106", "RUN-108", "RUN-111"):
        assert found[code].outcome == "passed", found[code]
    for code in ("RUN-107", "RUN-109", "RUN-114", "RUN-115", "RUN-120", "RUN-121", "RUN-122", "RUN-123", "RUN-124"):
        assert found[code].outcome == "not-applicable", found[code]


@pytest.mark.parametrize(
    "losses, norms, code",
    [
        pytest.param([*falling(50), *[math.nan] * 50], [1.0] * 100, "RUN-101", id="NaN, as json writes it"),
        pytest.param([2.0 + 0.01 * (at % 3) for at in range(100)], [1.0] * 100, "RUN-102", id="nothing learned"),
        pytest.param([*falling(50), *np.linspace(1, 9, 50)], [1.0] * 100, "RUN-104", id="diverging"),
        pytest.param([*falling(50), *[0.0] * 50], [1.0] * 100, "RUN-106", id="zero"),
        pytest.param(falling(), [0.0] * 100, "RUN-108", id="no gradient"),
    ],
)
def test_a_sick_run(config, losses, norms, code):
    state(config.output_dir, history(losses, grad_norm=norms))

    assert judged(config)[code].outcome == "failed"


@pytest.mark.parametrize(
    "log",
    [
        pytest.param([{"step": 100, "train_loss": 1.2, "epoch": 2.0}], id="only the mean of the run"),
        pytest.param([{"step": 100, "eval_loss": 1.2}], id="only an evaluation"),
        pytest.param(history([2.0]), id="one step"),
        pytest.param([{"step": 10, "loss": 2.0}, {"step": 20, "loss": 1.5}], id="losses and nothing else"),
        pytest.param([{"step": 10, "loss": "2.0"}, {"step": 20, "loss": 1.5, "epoch": None}], id="a loss as text"),
        pytest.param([{"step": 1, "loss": math.nan, "learning_rate": math.nan, "grad_norm": math.inf}], id="no number"),
        pytest.param([{"step": 5, "loss": 2.0, "epoch": 0, "learning_rate": 0.0}], id="zeros"),
    ],
)
def test_a_meagre_log_blocks_nothing_that_it_cannot_tell(config, log):
    state(config.output_dir, log)

    outcomes = {code: result.outcome for code, result in judged(config).items()}

    assert "error" not in outcomes.values(), outcomes
    assert "not-available" not in outcomes.values(), outcomes


numbers = st.one_of(st.floats(), st.integers(-5, 10**6), st.none(), st.text(max_size=3), st.booleans())
keys = st.sampled_from(["loss", "eval_loss", "train_loss", "grad_norm", "learning_rate", "epoch"])


@given(st.lists(st.tuples(st.integers(-3, 300), st.dictionaries(keys, numbers)), max_size=30))
def test_whatever_a_log_says_no_monitor_crashes(records):
    from preflight.flight.log import Log
    from preflight.flight.plan import Plan

    log = Log(({"step": step, **values} for step, values in records), foreign=True)
    for check in MONITORS.values():
        limits = SimpleNamespace(**check.thresholds)
        result = ask(check, check.severity, None, limits, run_log=log, plan=Plan(steps=100, epoch=50))
        assert result.outcome != "error", (check.code, result.reason)

"""The schedule that the checks reckon with, against the real trainer's own numbers."""

from types import SimpleNamespace

import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from preflight.config import load_config
from preflight.model import build
from preflight.schedule import schedule_of


@pytest.fixture
def config(project):
    return lambda **training: load_config(project.set(training={"eval_strategy": "no"} | training).write())


@pytest.fixture
def trainer_of(config):
    """The real trainer of so many prepared rows, with the schedule that is reckoned for it."""
    from trl import SFTTrainer

    def made(rows, **training):
        loaded = config(logging_strategy="no", **training)
        data = Dataset.from_list([{"input_ids": [1, 2 + row % 50], "labels": [-100, 2]} for row in range(rows)])
        trainer = SFTTrainer(
            model=build.load_base(loaded),
            args=build.training_arguments(loaded),
            train_dataset=data,
            peft_config=build.lora_config(loaded),
        )
        return trainer, schedule_of(loaded, rows)

    return made


@pytest.mark.parametrize(
    "rows, training",
    [
        pytest.param(16, {}, id="whole batches"),
        pytest.param(17, {}, id="a batch that isn't full"),
        pytest.param(17, {"dataloader_drop_last": True}, id="which is dropped"),
        pytest.param(16, {"dataloader_drop_last": True}, id="nothing to drop"),
        pytest.param(3, {}, id="less than a batch"),
        pytest.param(18, {"gradient_accumulation_steps": 2}, id="accumulation, not full"),
        pytest.param(18, {"gradient_accumulation_steps": 2, "dataloader_drop_last": True}, id="accumulation and drop"),
        pytest.param(6, {"gradient_accumulation_steps": 8}, id="fewer batches than accumulate"),
        pytest.param(17, {"num_train_epochs": 3}, id="three epochs"),
        pytest.param(17, {"num_train_epochs": 1.5}, id="one and a half"),
        pytest.param(17, {"num_train_epochs": 0.3}, id="a third"),
        pytest.param(17, {"num_train_epochs": 2.1, "gradient_accumulation_steps": 3}, id="fraction and accumulation"),
        pytest.param(17, {"max_steps": 3}, id="max_steps within the epoch"),
        pytest.param(9, {"max_steps": 7}, id="max_steps over two epochs"),
        pytest.param(16, {"warmup_steps": 0.1}, id="a share of warm-up"),
        pytest.param(16, {"warmup_steps": 2}, id="steps of warm-up"),
        pytest.param(16, {"warmup_steps": 0}, id="no warm-up"),
    ],
)
def test_steps_and_warmup(trainer_of, rows, training):
    trainer, schedule = trainer_of(rows, **training)

    _, per_epoch, *_, steps = trainer.set_initial_training_values(trainer.args, trainer.get_train_dataloader())

    warmup = trainer.args.get_warmup_steps(steps)
    assert (schedule.steps, schedule.steps_per_epoch, schedule.warmup) == (steps, per_epoch, warmup)


@pytest.mark.parametrize(
    "training, saves, kept",
    [
        pytest.param({"save_strategy": "no"}, 0, 0, id="none"),
        pytest.param({}, 1, 1, id="one at the end"),
        pytest.param({"save_steps": 2}, 2, 2, id="every second step, and the last"),
        pytest.param({"save_steps": 0.5}, 2, 2, id="a share of the run"),
        pytest.param({"save_strategy": "epoch", "num_train_epochs": 1.5}, 2, 2, id="one an epoch, and a half"),
        pytest.param({"save_steps": 1, "save_total_limit": 2}, 3, 2, id="a limit"),
        pytest.param({"save_steps": 1, "save_total_limit": 0}, 3, 3, id="a limit of zero is none"),
    ],
)
def test_a_run_and_its_checkpoints(project, trainer_of, training, saves, kept):
    """At most one more than what is kept: it is written before the oldest goes."""
    trainer, schedule = trainer_of(9, **{"save_only_model": True, **training})

    trainer.train()

    assert trainer.state.global_step == schedule.steps
    assert len(list((project.folder / "run").glob("checkpoint-*"))) == kept
    assert schedule.checkpoints == (kept + 1 if kept < saves else kept)


SCHEDULERS = (
    "linear",
    "cosine",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "polynomial",
    "cosine_with_restarts",
)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_which_schedulers_ignore_warmup(trainer_of, scheduler):
    trainer, schedule = trainer_of(16, lr_scheduler_type=scheduler, warmup_steps=2)

    trainer.create_optimizer()
    first = trainer.create_scheduler(num_training_steps=100).get_last_lr()[0]

    assert (first < trainer.args.learning_rate) == (schedule.warmup > 0)


def test_packed_rows_are_counted_as_they_are_fed(project):
    """The gate packs, and hands schedule_of what the trainer feeds: fewer rows than the 600 examples in 150 batches."""
    run = project.set(training={"packing": True}).gate("-k", "CFG-106")

    assert 1 < run.check("CFG-106")["evidence"]["steps"] < 75


@pytest.mark.parametrize("count, steps", [(0, 25), (1, 25), (2, 13), (4, 7), (None, 25)])
def test_a_described_machine_shares_the_batches(project, count, steps):
    hardware = {"gpu": "A100", "memory_gib": 80, "count": count} if count is not None else {"target": "local"}
    loaded = load_config(project.set(hardware=hardware).write())

    assert schedule_of(loaded, 100).steps == steps


def test_nothing_left_after_dropping_is_no_run(config):
    assert schedule_of(config(dataloader_drop_last=True), 3).steps == 0


@given(
    st.integers(0, 500),
    st.integers(1, 16),
    st.integers(1, 8),
    st.floats(0.1, 4),
    st.one_of(st.floats(0, 0.99), st.integers(1, 50)),
    st.one_of(st.integers(1, 100), st.floats(0.01, 0.99)),
    st.booleans(),
)
def test_any_settings_give_a_schedule_that_makes_sense(rows, batch, accumulation, epochs, warmup, save, drop):
    values = {
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": accumulation,
        "num_train_epochs": epochs,
        "warmup_steps": warmup,
        "save_steps": save,
        "dataloader_drop_last": drop,
        "max_steps": -1,
        "lr_scheduler_type": "linear",
        "save_strategy": "steps",
    }

    schedule = schedule_of(SimpleNamespace(training_value=values.get, hardware=SimpleNamespace(count=None)), rows)

    assert 0 <= schedule.steps_per_epoch * batch * accumulation < rows + batch * accumulation
    assert schedule.steps >= epochs * schedule.steps_per_epoch
    assert (schedule.checkpoints > 0) == (schedule.steps > 0)
    assert schedule.checkpoints <= schedule.steps

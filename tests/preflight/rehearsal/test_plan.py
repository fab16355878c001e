"""Whether a rehearsal is made unasked, and on which rows."""

from types import SimpleNamespace

import numpy as np
import pytest

from preflight.config import load_config
from preflight.data.prepare import prepare
from preflight.findings import NotApplicable
from preflight.model.precision import Precision
from preflight.model.tokenizer import load_tokenizer
from preflight.rehearsal import plan
from preflight.rehearsal.facts import Batch
from preflight.strategy import Strategy
from preflight.target import Gpu, Target

GIB = 2**30
HERE = Target(local=True)
FULL = Precision("float32", "float32", None, None)


def card(free):
    return Target(local=True, gpus=(Gpu("A100", 80 * GIB, free * GIB),))


def tree(parameters, trainable=10_000_000):
    return SimpleNamespace(parameters=parameters, trainable=trainable)


def rows_of(length=200, size=4):
    batch = Batch(list(range(size)), [length] * size)
    return plan.Rows(batch, batch, None, [])


@pytest.fixture
def prepared(project):
    """`prepared(lengths, per_device_train_batch_size=2)`: rows of so many words, prepared, with their config."""

    def make(lengths, **training):
        said = [{"role": "user", "content": "Count."}]
        project.rows([{"messages": [*said, {"role": "assistant", "content": "one " * n}]} for n in lengths])
        project.rows(
            [{"messages": [*said, {"role": "assistant", "content": "two " * n}]} for n in (3, 9, 6)], "v.jsonl"
        )
        project.set(data={"validation": "v.jsonl"}, training=training)
        config = load_config(project.write())
        return config, prepare(config, load_tokenizer(config))

    return make


def test_the_longest_rows_come_together_and_the_typical_are_of_median_length(prepared):
    found = plan.rows_of(*prepared([5, 90, 10, 30, 7, 80, 20], per_device_train_batch_size=2))

    assert found.longest.rows == [1, 5]
    assert found.longest.where == ["train.jsonl:2", "train.jsonl:6"]
    assert set(found.typical.rows) <= {2, 3, 6}
    assert found.short == 0
    assert found.typical.lengths == sorted(found.typical.lengths)
    assert found.longest.padded == 2 * max(found.longest.lengths)


def test_a_batch_larger_than_the_data_has_rows_twice(prepared):
    found = plan.rows_of(*prepared([5, 90], per_device_train_batch_size=5))

    assert len(found.longest.rows) == len(found.typical.rows) == 5
    assert set(found.longest.rows) == {0, 1}


def test_rows_of_one_length_pad_nothing(prepared):
    assert plan.rows_of(*prepared([8] * 9)).short is None


def test_rows_without_a_label_are_not_typical(prepared):
    """Cut before the answer: they are among the longest, and nothing can be learned from them."""
    config, data = prepared([1, 2, 3], per_device_train_batch_size=1)
    data.train.profile.loc[1, "supervised"] = 0

    assert plan.rows_of(config, data).typical.rows != [1]


def test_packed_rows_have_no_place_in_the_files(prepared):
    found = plan.rows_of(*prepared([5, 90, 10, 30], packing=True, max_length=64, per_device_train_batch_size=1))

    assert found.longest.where == []
    assert max(found.longest.lengths) <= 64


def test_only_a_run_that_evaluates_has_an_evaluation_batch(prepared):
    assert plan.rows_of(*prepared([5, 9], eval_strategy="no")).held_out == []
    found = plan.rows_of(*prepared([5, 9], eval_strategy="epoch", per_device_eval_batch_size=2))
    assert found.held_out == [1, 2]


@pytest.mark.parametrize(
    "kind, target, asked, reason",
    [
        pytest.param("single", HERE, None, None, id="here"),
        pytest.param("ddp", HERE, None, None, id="one of several processes"),
        pytest.param("fsdp", HERE, True, "shards the model over several", id="sharded"),
        pytest.param("zero3", HERE, None, "shards the model over several", id="sharded by DeepSpeed"),
        pytest.param("single", Target(local=False), None, "hardware describes another machine", id="elsewhere"),
        pytest.param("single", Target(local=False), True, None, id="elsewhere, but asked for"),
    ],
)
def test_where_a_rehearsal_is_possible(project, kind, target, asked, reason):
    config = load_config(project.set(gate={"rehearsal": asked}).write())
    if reason is None:
        return plan.check_possible(config, target, Strategy(kind, 1))
    with pytest.raises(NotApplicable, match=reason):
        plan.check_possible(config, target, Strategy(kind, 1))


@pytest.mark.parametrize(
    "parameters, target, reason",
    [
        pytest.param(1_000_000, HERE, None, id="tiny"),
        pytest.param(135_000_000, HERE, None, id="small, on the CPU"),
        pytest.param(7_000_000_000, HERE, "minutes here|free in memory", id="7B on the CPU"),
        pytest.param(7_000_000_000, card(80), None, id="7B on a large card"),
        pytest.param(7_000_000_000, card(16), "the model takes 28 GiB, and 16 are free on the card", id="no room"),
    ],
)
def test_what_is_rehearsed_unasked(project, monkeypatch, parameters, target, reason):
    monkeypatch.setattr(plan.machine, "cores", lambda: 2)
    config = load_config(project.set(training={"gradient_checkpointing": False}).write())
    if reason is None:
        return plan.check_worth(config, rows_of(), tree(parameters), FULL, target)
    with pytest.raises(NotApplicable, match=reason):
        plan.check_worth(config, rows_of(), tree(parameters), FULL, target)


def test_a_model_without_weights_is_not_rehearsed(project, model):
    (model / "model.safetensors").unlink()
    with pytest.raises(NotApplicable, match="weights aren't here"):
        plan.check_worth(load_config(project.write()), rows_of(), tree(1000), FULL, HERE)


def test_what_takes_longer_is_estimated_longer(project, monkeypatch):
    config = load_config(project.write())
    monkeypatch.setattr(plan, "_has_bf16", lambda: False)

    def seconds(length=200, parameters=10**8, precision=FULL, on_card=False):
        return plan.estimate(config, rows_of(length), parameters, precision, on_card=on_card)

    assert seconds(400) > seconds() > seconds(on_card=True)
    assert seconds(parameters=10**9) > seconds()
    assert seconds(precision=Precision("bfloat16", "bfloat16", None, None)) > seconds()
    assert np.isfinite(seconds())

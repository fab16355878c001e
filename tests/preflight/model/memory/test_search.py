"""The largest batch, the longest rows, and the cheapest change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.model.memory import predict, search
from preflight.strategy import Strategy
from preflight.target import Gpu, Target


@given(
    high=st.integers(1, 3000),
    fixed=st.integers(0, 1000),
    slope=st.integers(1, 50),
    bend=st.integers(0, 3),
    capacity=st.integers(0, 200_000),
)
def test_the_largest_number_that_fits_is_found(high, fixed, slope, bend, capacity):
    """Nearly, and never one that doesn't fit."""

    def need(number):
        return fixed + slope * number + bend * number**2

    exact = max((number for number in range(1, high + 1) if need(number) <= capacity), default=0)
    found = search.largest(need, capacity, high)

    assert found <= exact
    assert exact - found <= max(exact // 16, 1)


def plan(job, gib, **sizes):
    target = Target(local=False, gpus=(Gpu("Card", int(gib * 2**30), capability=(8, 0)),))
    return predict(job, target, Strategy("single", 1), (200_000, 2_000))


def test_what_is_said_to_fit_fits_and_little_more_does(job):
    job = job.replace(model={**job.model, "num_hidden_layers": 12}, length=512, batch=1)
    base = plan(job, 1.2)
    batch, length = search.room(base, lambda other: plan(other, 1.2), 10_000, 1.1, base.capacity)

    assert plan(search.sized(job, batch, 512), 1.2).verdict() == "fits"
    assert plan(search.sized(job, batch * 5 // 4 + 1, 512), 1.2).verdict() != "fits"
    assert plan(search.sized(job, 1, length), 1.2).verdict() == "fits"
    assert plan(search.sized(job, 1, length * 5 // 4), 1.2).verdict() != "fits" or length == 4096


def test_a_few_layers_tell_what_many_need(job):
    job = job.replace(model={**job.model, "num_hidden_layers": 24}, batch=4, length=512, checkpointing="non-reentrant")
    base = plan(job, 24)
    guess = search.extrapolated(base, lambda other: plan(other, 24), 1.0)
    for rows, length in ((1, 512), (8, 512), (4, 2048)):
        other = search.sized(job, rows, length)
        assert guess(other) == pytest.approx(plan(other, 24).likely(1.0), rel=0.04)


def test_the_batch_is_never_larger_than_the_data(job):
    base = plan(job, 24)

    assert search.room(base, lambda other: plan(other, 24), 7, 1.1, base.capacity)[0] == 7


def test_changes_come_in_the_order_of_their_price(job):
    job = job.replace(batch=4, attention="eager", adapter={**job.adapter, "use_dora": True})
    settings = [change[0][-1].partition(":")[0] for change in search.changes(job, 2)]

    assert settings == [
        "model.attn_implementation",
        "training.gradient_accumulation_steps",
        "training.gradient_accumulation_steps",
        "training.gradient_checkpointing",
        "lora.use_dora",
        "quantization",
        "training.max_length",
        "training.max_length",
        "training.max_length",
    ]


def test_a_smaller_batch_accumulates_to_the_same_rows(job):
    change = next(iter(search.changes(job.replace(batch=8), 2)))

    assert change[0] == ("training.per_device_train_batch_size: 4", "training.gradient_accumulation_steps: 4")
    assert change[2].batch == 4


def test_the_first_change_that_fits_is_taken(job):
    change = search.cheapest_change(
        job.replace(batch=8), lambda other: "needs" if other.checkpointing != "none" else None, 1
    )

    assert change.settings[-1] == "training.gradient_checkpointing: true"
    assert search.cheapest_change(job, lambda other: None, 1) is None

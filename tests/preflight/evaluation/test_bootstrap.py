"""Intervals: what must hold of any scores, and how often they hold the truth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from preflight.evaluation.bootstrap import paired, tail, value_of
from preflight.evaluation.metrics import averaged

numbers = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=2, max_size=40)


def close(value):
    return pytest.approx(value, abs=1e-9)


@given(values=numbers)
@settings(deadline=None, max_examples=50)
def test_a_model_against_itself(values):
    base, tuned, difference = paired(averaged(values), averaged(values), len(values))

    assert base == tuned
    assert (difference.low, difference.value, difference.high) == (0, 0, 0)
    assert base.value == close(np.mean(values))


@given(values=numbers, middle=st.floats(-5, 5))
@settings(deadline=None, max_examples=50)
def test_the_interval_of_symmetric_values_holds_their_mean(values, middle):
    both = [middle + value for value in values] + [middle - value for value in values]

    one, _, _ = paired(averaged(both), averaged(both), len(both))

    assert one.low - 1e-9 <= one.value <= one.high + 1e-9


@given(values=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=30), scale=st.floats(0.1, 50))
@settings(deadline=None, max_examples=50)
def test_a_change_of_scale_changes_nothing_else(values, scale):
    base, tuned = zip(*values, strict=True)
    plain = paired(averaged(base), averaged(tuned), len(values))
    scaled = paired(averaged([it * scale for it in base]), averaged([it * scale for it in tuned]), len(values))

    for one, other in zip(plain, scaled, strict=True):
        assert [other.value, other.low, other.high] == close([one.value * scale, one.low * scale, one.high * scale])


def test_what_makes_examples_hard_cancels_out():
    hard = np.random.default_rng(0).normal(0, 10, 64)

    base, tuned, difference = paired(averaged(hard), averaged(hard + 1), 64)

    assert base.high > tuned.low  # each by itself can't tell
    assert (difference.low, difference.high) == (close(1), close(1))


def test_the_same_every_time():
    one, other = averaged([0, 1, 1, 0, 1, 0, 0, 1]), averaged([1, 1, 1, 0, 1, 1, 0, 1])

    assert paired(one, other, 8) == paired(one, other, 8)


def test_as_scipy_has_it_for_many_examples():
    random = np.random.default_rng(1)
    base, tuned = random.normal(0, 1, 2000), random.normal(0.1, 1, 2000)

    _, _, difference = paired(averaged(base), averaged(tuned), 2000)
    wanted = stats.bootstrap(
        (base, tuned),
        lambda one, other, axis: other.mean(axis) - one.mean(axis),
        paired=True,
        vectorized=True,
        n_resamples=2000,
        method="percentile",
        rng=2,
    ).confidence_interval

    assert [difference.low, difference.high] == pytest.approx([wanted.low, wanted.high], abs=0.005)


@pytest.mark.parametrize("count, share", [(8, 0.0057), (64, 0.0220), (10**6, 0.025)])
def test_fewer_examples_make_it_wider(count, share):
    assert tail(count) == pytest.approx(share, abs=2e-4)


@pytest.mark.parametrize(
    "count, draw, truth, allowed",
    [
        pytest.param(8, lambda random, shape: random.normal(0, 1, shape), 0, (0.92, 0.98), id="8 normal values"),
        pytest.param(64, lambda random, shape: random.normal(0, 1, shape), 0, (0.92, 0.98), id="64 normal values"),
        pytest.param(64, lambda random, shape: random.random(shape) < 0.7, 0.7, (0.91, 0.98), id="64 right or wrong"),
        pytest.param(64, lambda random, shape: random.exponential(1, shape), 1, (0.90, 0.98), id="64 skewed values"),
    ],
)
def test_19_of_20_intervals_hold_the_truth(count, draw, truth, allowed):
    random = np.random.default_rng(3)
    held = 0
    for values in draw(random, (400, count)):
        measured = replace(averaged(values), rounds=500)
        one, _, _ = paired(measured, measured, count)
        held += one.low <= truth <= one.high

    assert allowed[0] <= held / 400 <= allowed[1]


def test_a_value_that_is_given_is_taken():
    one = averaged([0.0, 1.0])

    assert value_of(one, 2) == 0.5

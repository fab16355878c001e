"""What the whole run will take, from a few measured steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.rehearsal import cost
from preflight.rehearsal.facts import Batch, Rehearsal, Step

FOUND = Rehearsal(
    "key",
    "cpu",
    half=False,
    typical=Batch([0, 1], [50, 40]),
    longest=Batch([2, 3], [200, 150]),
    phase="done",
    steps=[Step("typical", 9.0, 3.0, False), Step("longest", 8.0, 3.0, False), Step("typical", 1.0, 3.0, False)],
)


@given(st.lists(st.integers(1, 999), min_size=1, max_size=99), st.integers(1, 9))
def test_padding_only_adds(lengths, size):
    found = np.array(lengths)

    assert cost.batch_tokens(found, size, padded=False) == pytest.approx(found.mean() * size)
    assert min(lengths) * size <= cost.batch_tokens(found, size, padded=True) <= max(lengths) * size


def test_the_range_is_that_of_short_and_of_long_rows():
    """A token of the median batch took 1/100 s in its faster step, one of the longest 8/400 s."""
    assert cost.run_seconds(FOUND, 10_000) == pytest.approx((100, 200))


def test_without_a_step_nothing_can_be_said():
    from dataclasses import replace

    assert cost.run_seconds(replace(FOUND, steps=[]), 10_000) is None


@pytest.mark.parametrize(
    "seconds, words",
    [
        (5, "5 s"),
        (89, "89 s"),
        (91, "2 min"),
        (5300, "88 min"),
        (5500, "1.5 h"),
        (170_000, "47.2 h"),
        (200_000, "2.3 days"),
    ],
)
def test_a_time_has_the_unit_that_suits_it(seconds, words):
    assert cost.in_words(seconds) == words

"""Time is shared out among the parts; what is left out is spread."""

import time
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.evaluation.budget import SHARES, Budget, Sampled, in_time, spread


@given(st.integers(0, 500), st.integers(0, 100))
def test_every_beginning_is_spread(total, wanted):
    found = spread(total, wanted)

    assert len(found) == len(set(found)) == min(total, wanted)
    assert set(found) <= set(range(total))
    if len(found) > 1:
        gaps = [after - before for before, after in pairwise(sorted(found))]
        assert max(gaps) <= 3 * total / len(found)  # of the golden ratio it is 2.6 at most, and 1 would be even


def test_the_shares_are_the_whole():
    assert sum(SHARES.values()) == pytest.approx(1)


def test_what_a_part_leaves_over_goes_to_the_others():
    budget = Budget(100)

    with budget.part("answers") as deadline:
        assert deadline - time.monotonic() == pytest.approx(45, abs=0.1)
    for name in list(budget.shares)[:-1]:
        with budget.part(name):
            pass
    with budget.part(*budget.shares) as deadline:
        assert deadline - time.monotonic() == pytest.approx(100, abs=0.5)


def test_a_part_that_takes_too_long_takes_from_the_others():
    budget = Budget(0.02)

    with budget.part("answers"):
        time.sleep(0.03)
    with budget.part("held-out") as deadline:
        assert deadline <= time.monotonic()


def test_there_is_always_one_batch():
    assert list(in_time("abcdef", 2, time.monotonic() - 1)) == [[*"af"]]
    assert sorted(chain(*in_time("abcdef", 2, time.monotonic() + 60))) == [*"abcdef"]
    assert list(in_time("", 2, 0)) == []


def test_a_sample_says_so():
    assert Sampled([1, 2], 2).note == ""
    assert "of 64" in Sampled([1, 2], 64).note

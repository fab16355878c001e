"""DATA-114: rows are not fed in sorted order."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.checks.data_quality.shuffled import order_of, rows_are_not_fed_in_sorted_order

CODE = "DATA-114"
SEQUENTIAL = {"train_sampling_strategy": "sequential"}
PACKED = {"packing": True}


def rows(kinds):
    """A row of each kind: alpaca rows, chats, and chats with a system prompt."""
    system = {"role": "system", "content": "Be kind."}
    made = []
    for number, kind in enumerate(kinds):
        turns = [{"role": "user", "content": f"Is it {number}?"}, {"role": "assistant", "content": "It is."}]
        chat = {"messages": [system, *turns] if kind == "c" else turns}
        made.append({"instruction": f"Is it {number}?", "output": "It is."} if kind == "a" else chat)
    return made


@pytest.mark.parametrize(
    "training, outcome, key",
    [
        pytest.param(SEQUENTIAL, "warned", "training.train_sampling_strategy: random", id="fed in order"),
        pytest.param(PACKED, "warned", "training.shuffle_dataset: true", id="packed in order"),
        pytest.param({**PACKED, "shuffle_dataset": True}, "passed", "", id="packed at random"),
        pytest.param({}, "passed", "", id="drawn at random"),
    ],
)
def test_files_put_one_behind_the_other_are_found_where_it_matters(project, training, outcome, key):
    project.rows(rows("a" * 40), "one.jsonl")
    project.rows(rows("c" * 40), "two.jsonl")
    project.set(data={"train": ["one.jsonl", "two.jsonl"]}, training=training)
    run = project.gate("-k", CODE)

    assert run.outcome(CODE) == outcome, run.screen
    assert run.check(CODE)["summary"].startswith("sorted by shape, roles, system prompt") or "shuffle" in str(training)
    for finding in run.findings(CODE):
        assert finding["message"] == "the training rows are sorted by shape, roles, system prompt and length"
        assert finding["observed"] == "2 stretches of equal shape"
        assert finding["fix"] == f"Set {key}."
        assert finding["where"].startswith("config.yaml:")


def test_a_file_in_random_order_passes(project, expect):
    project.rows(rows(random.Random(1).choices("abc", k=300)))
    project.set(training=SEQUENTIAL)

    assert expect(CODE, "passed") == []


@pytest.mark.parametrize(
    "columns, name",
    [
        pytest.param({"length": sorted(range(200))}, "length", id="short first"),
        pytest.param({"length": [900 - n for n in range(200)]}, "length", id="long first"),
        pytest.param({"length": [n % 7 + 90 * (n // 50 % 2) for n in range(200)]}, "length", id="blocks"),
        pytest.param({"task": ["a"] * 100 + ["b"] * 100}, "task type", id="by task"),
        pytest.param({"task": [None] * 100 + ["b"] * 100}, "task type", id="untold tasks first"),
        pytest.param({"head": [0] * 100 + [30] * 100}, "system prompt", id="by system prompt"),
        pytest.param({"roles": ["ua"] * 100 + ["uaua"] * 100}, "roles", id="by roles"),
        pytest.param({"length": [60, 90] * 100}, None, id="by turns"),
        pytest.param({"length": 60, "task": "a"}, None, id="all the same"),
        pytest.param({"task": ["a"] * 199 + ["b"]}, None, id="one odd row"),
        pytest.param({"task": [*"ab"] * 100}, None, id="alternating"),
    ],
)
def test_rows_that_are_sorted_by_something_are_found(split, judge, columns, name):
    found = judge(rows_are_not_fed_in_sorted_order, split(200, **columns), **SEQUENTIAL)

    assert [finding.message for finding in found] == ([f"the training rows are sorted by {name}"] if name else [])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_runs_are_counted_and_their_usual_number_lies_within_bounds(values, rng):
    kinds = np.array(values)
    order = order_of(kinds)

    if len(set(values)) > 1:
        assert order.runs == 1 + sum(a != b for a, b in pairwise(values))
    assert 1 <= order.usual <= len(values)
    assert abs(order.z) < 60
    assert order_of(np.sort(kinds)).runs == len(set(values))


@pytest.mark.parametrize("weights", [(1, 1), (1, 1, 1, 1), (90, 9, 1)])
def test_the_usual_number_of_runs_is_that_of_random_orders(weights):
    rng = np.random.default_rng(0)
    kinds = np.repeat(np.arange(len(weights)), [weight * 1000 // sum(weights) for weight in weights])
    orders = [order_of(rng.permutation(kinds)) for _ in range(200)]

    assert np.mean([order.z for order in orders]) == pytest.approx(0, abs=0.25)
    assert np.std([order.z for order in orders]) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("size", [2, 9, 100, 20_000])
def test_random_orders_of_any_size_pass(split, judge, size):
    rng = np.random.default_rng(size)
    for _ in range(10):
        columns = {"task": rng.choice([*"abc"], size), "length": rng.lognormal(5, 1, size).astype(int)}
        assert judge(rows_are_not_fed_in_sorted_order, split(size, **columns), **SEQUENTIAL) == []

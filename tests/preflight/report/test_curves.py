"""The curves of a run log: which charts there are, how long ones are thinned, and what they come to in words."""

import json
import math
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.flight import Curve, Log, read_log
from preflight.report import curves

GIB = 2**30


def of(**values):
    """A log of these values, a step each."""
    steps = range(max(map(len, values.values())))
    return Log({"step": n + 1} | {key: column[n] for key, column in values.items() if n < len(column)} for n in steps)


def test_a_log_of_a_machine_without_a_card():
    log = of(
        loss=[3.0, 2.0],
        eval_loss=[2.5],
        learning_rate=[1e-4, 2e-4],
        grad_norm=[1.0, math.nan],
        memory_resident=[GIB, 2 * GIB],
        tokens_per_second=[900.0, 1000.0],
        step_seconds=[0.5, 0.4],
        wait_seconds=[0.1, 0.1],
    )

    drawn = {chart["title"]: chart for chart in curves.charts(log, 80 * GIB)}

    assert list(drawn) == ["Loss", "Learning rate", "Gradient norm", "Memory", "Speed", "Step time"]
    assert [line["name"] for line in drawn["Loss"]["lines"]] == ["training", "validation"]
    assert [line["name"] for line in drawn["Step time"]["lines"]] == ["step", "waiting for data"]
    assert drawn["Memory"]["lines"] == [{"name": "of the process", "steps": [1, 2], "values": [1, 2]}]
    assert "limit" not in drawn["Memory"]
    assert drawn["Loss"]["floor"] is None


def test_memory_is_drawn_against_what_the_card_has():
    log = of(memory_resident=[GIB], memory_reserved=[60 * GIB], memory_allocated=[50 * GIB])

    (memory,) = curves.charts(log, 80 * GIB)

    assert [line["values"] for line in memory["lines"]] == [[1], [60], [50]]
    assert memory["limit"] == {"name": "card in total", "value": 80}
    assert "limit" not in curves.charts(log)[0]


@pytest.mark.parametrize("log", [Log(), Log([{"epoch": 1}]), Log([{"step": 1, "loss": "none"}])])
def test_nothing_logged_nothing_drawn(log):
    assert curves.charts(log) == []
    assert curves.measured(log) == {}
    assert curves.in_words({}) == {}


values = st.lists(st.floats(-1e9, 1e9) | st.sampled_from([math.nan, math.inf, -math.inf]), max_size=3000)


@given(values)
def test_thinning_keeps_ends_extremes_order_and_whether_anything_is_no_number(column):
    whole = Curve(np.arange(len(column), dtype=float), np.array(column, dtype=float))

    kept = curves.thin(whole)

    assert len(kept) <= 3 * curves.STRETCHES + 2
    assert (np.diff(kept.steps) > 0).all()
    assert np.array_equal(kept.values, whole.values[kept.steps.astype(int)], equal_nan=True)
    good, left = (curve.values[np.isfinite(curve.values)] for curve in (whole, kept))
    assert (len(good) == len(whole)) == (len(left) == len(kept))
    if len(whole):
        assert (kept.steps[0], kept.steps[-1]) == (0, len(whole) - 1)
    if len(good):
        assert (left.min(), left.max()) == (good.min(), good.max())


def test_a_hundred_thousand_logged_steps_are_a_small_report_and_take_no_time():
    ones = [1.0] * 100_000
    log = of(loss=[*ones[:-1], math.nan], learning_rate=ones, grad_norm=ones, step_seconds=ones, memory_resident=ones)

    began = time.perf_counter()
    drawn = curves.charts(log)
    seconds = time.perf_counter() - began

    assert len(json.dumps(drawn)) < 100_000
    assert math.isnan(drawn[0]["lines"][0]["values"][-1])
    assert seconds < 1


def test_what_a_run_came_to():
    log = of(
        loss=[3.0, 2.0, math.nan],
        tokens_per_second=[10.0, 1234.0, 1250.0],
        step_seconds=[9.0, 0.5, 0.5],
        wait_seconds=[0.1, 0.1, 0.1],
        memory_resident=[GIB, 3 * GIB, 2 * GIB],
        memory_reserved=[60 * GIB, 70.25 * GIB, 10.0],
        energy_wh=[100.0, 100.5, 50.0],
    )

    found = curves.measured(log)

    assert found["steps"] == 3
    assert found["energy_wh"] == 250.5
    assert curves.in_words(found) == {
        "speed": "1,234 tokens/s",
        "step": "0.5 s, 20% of it waiting for data",
        "memory": "at most 3.0 GiB in the process and 70.2 GiB reserved on the card",
        "energy": "250 Wh",
    }
    assert curves.in_words({"energy_wh": 123_456.0})["energy"] == "123 kWh"


def test_how_often_a_run_was_resumed_and_when_it_began(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text(
        '{"step": 0, "planned_steps": 9}\n{"step": 1, "time": 1700000000.5}\n{"step": 1, "resumed": true}\n'
    )
    log = read_log(path)
    now, old = datetime.now(UTC), datetime(2020, 1, 1, tzinfo=UTC)

    assert curves.resumes(log) == 1
    assert curves.first_time(log, before=now) == datetime(2023, 11, 14, 22, 13, 20, 500000, UTC)
    assert curves.first_time(log, before=old) is None
    assert curves.first_time(Log(), before=now) is None

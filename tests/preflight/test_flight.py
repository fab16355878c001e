"""Run logs as they are read, curves, and the trends in them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.flight import Curve, Log, read_log
from preflight.flight.trend import change, finite, noise, windows


@pytest.mark.parametrize(
    "text, steps",
    [
        pytest.param(b'{"step": 1}\n{"step": 2}\n', 2, id="whole"),
        pytest.param(b'{"step": 1}\n{"step": 2', 1, id="last line cut off"),
        pytest.param(b'{"step": 1}\n{"step": 2, "note": "caf\xc3', 1, id="cut off inside a character"),
        pytest.param(b"\n\n", 0, id="blank lines"),
        pytest.param(b"", 0, id="empty"),
        pytest.param(b'{"step": 1}\n[2]\n3\n', 1, id="lines that are no objects"),
        pytest.param(b'{"step": 1, "loss": NaN}\n', 1, id="NaN as Python writes it"),
    ],
)
def test_read_log(tmp_path, text, steps):
    path = tmp_path / "run.jsonl"
    path.write_bytes(text)

    assert len(read_log(path)) == steps


def test_a_curve_has_the_steps_that_have_the_value():
    entries = [{"step": 1, "loss": 3}, {"step": 2, "eval_loss": 1.0}, {"step": 3, "loss": None}, {"loss": 2.0}]

    assert Log(entries).curve("loss").points() == [(1, 3.0)]
    assert json.dumps(Log(entries).curve("eval_loss").points()) == "[[2, 1.0]]"


def test_a_log_that_grows_gives_the_curve_of_one_that_was_read_whole():
    entries = [{"step": step, "loss": 1 / step} for step in range(1, 300)]
    log = Log()
    for entry in entries:
        log.add(entry)
        assert len(log.curve("loss")) == entry["step"]

    assert log.curve("loss").points() == Log(entries).curve("loss").points()


losses = st.lists(st.floats(0.01, 20), min_size=4, max_size=60).map(np.array)


@given(losses)
def test_a_change_does_not_mind_the_unit(values):
    once, scaled = change(values), change(4 * values)

    assert once is not None
    assert scaled is not None
    assert scaled.drop == pytest.approx(once.drop)
    assert scaled.error == pytest.approx(4 * once.error)


@given(losses)
def test_a_curve_that_is_mirrored_changes_the_other_way(values):
    there, back = change(values), change(values[::-1])

    assert there is not None
    assert back is not None
    assert (there.first, there.last) == pytest.approx((back.last, back.first))


def test_the_noise_of_a_curve_is_not_its_slope():
    dice = np.random.default_rng(7)
    slope = np.linspace(3, 1, 2000)

    assert noise(slope) < 0.001
    assert noise(slope + dice.normal(0, 0.1, 2000)) == pytest.approx(0.1, rel=0.1)


def test_windows_are_means_over_steps_and_leave_out_what_is_cut_off():
    curve = Curve(np.arange(1, 12), np.arange(11.0))

    assert windows(curve, 4).points() == [(4, 1.5), (8, 5.5)]
    assert windows(curve, 100).points() == []


def test_what_is_not_finite_is_left_out():
    curve = Curve(np.arange(1, 5), np.array([1.0, np.nan, np.inf, 2.0]))

    assert finite(curve).points() == [(1, 1.0), (4, 2.0)]

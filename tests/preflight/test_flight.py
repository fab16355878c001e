"""The judges of a run log, on curves that are sound although they look odd, and on odd ones."""

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.flight import Log, read_log
from preflight.flight.losses import not_falling, not_finite

NAN, INF = float("nan"), float("inf")


def log(losses, key="loss"):
    return [{"step": step, key: value} for step, value in enumerate(losses, 1)]


def noisy(values, share=0.2):
    dice = random.Random(7)
    return [value * (1 + share * dice.uniform(-1, 1)) for value in values]


def decay(start, end, count):
    return [end + (start - end) * math.exp(-5 * step / count) for step in range(count)]


BUMP = [*decay(3, 1.5, 40), *decay(2.4, 1.2, 40)]


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param(decay(3, 1, 100), id="smooth"),
        pytest.param(noisy(decay(3, 1.5, 60)), id="noisy but falling"),
        pytest.param(noisy(decay(3, 2, 12)), id="noisy and short"),
        pytest.param(BUMP, id="a bump where harder examples begin"),
        pytest.param([3.0, *[1.0] * 30], id="everything was learned in one step"),
        pytest.param([0.4, 0.39, 0.38, 0.37, 0.37, 0.36, 0.36, 0.35], id="low from the start"),
        pytest.param([2.0, 2.0, 1.9, 1.9], id="four losses"),
        pytest.param([2.0, 2.1, 2.2], id="three losses tell nothing"),
        pytest.param([], id="none"),
        pytest.param([0.0] * 8, id="zero all along"),
        pytest.param([3.0, NAN, 2.5, 2.0, NAN, 1.5], id="NaN is for the other judge"),
    ],
)
def test_a_loss_that_falls(losses):
    assert not_falling(Log(log(losses)), min_drop=0.02) == []


@pytest.mark.parametrize(
    "losses, observed",
    [
        pytest.param([3.0] * 40, "+0.0%", id="flat"),
        pytest.param([3.0] * 4, "+0.0%", id="flat and short"),
        pytest.param(decay(1, 3, 40), "+", id="rising"),
        pytest.param([*decay(3, 1, 20), *decay(3, 9, 20)], "+", id="falling, then diverging"),
        pytest.param([2.0 - 0.001 * step for step in range(20)], "-", id="too little"),
        pytest.param([0.0] * 4 + [1.0] * 4, "+1.000", id="up from zero"),
        pytest.param(noisy([3.0] * 200, share=0.05), "", id="nothing but noise"),
    ],
)
def test_a_loss_that_does_not_fall(losses, observed):
    (finding,) = not_falling(Log(log(losses)), min_drop=0.02)

    assert finding.observed.startswith(observed)
    assert finding.where == f"{len(losses)} logged steps"
    assert "2-5x" in finding.fix


@given(st.lists(st.floats(0.01, 20), min_size=4, max_size=60), st.floats(0.01, 0.5))
def test_the_judge_of_falling_does_not_mind_the_unit(losses, drop):
    def fires(scale):
        return bool(not_falling(Log(log([scale * loss for loss in losses])), min_drop=drop))

    assert fires(1.0) == fires(4.0)


@given(st.lists(st.floats(1, 5), min_size=8, max_size=60))
def test_a_curve_and_its_mirror_do_not_both_fall(losses):
    there, back = (not_falling(Log(log(values)), min_drop=0.02) for values in (losses, losses[::-1]))

    assert there or back


@pytest.mark.parametrize(
    "entries, where",
    [
        pytest.param(log([3.0, NAN, 2.0]), "step 2", id="NaN early"),
        pytest.param(log([NAN, NAN]), "step 1", id="NaN at once"),
        pytest.param(log([3.0, INF]), "step 2", id="infinite"),
        pytest.param(log([3.0, -INF]), "step 2", id="minus infinity"),
        pytest.param([*log([3.0, 2.0]), {"step": 2, "eval_loss": NAN}], "step 2", id="NaN on validation"),
        pytest.param([*log([2.0] * 9), {"step": 9, "train_loss": NAN}], "step 9", id="NaN in the summary"),
        pytest.param(log([0.5, NAN, NAN, NAN], "grad_norm"), "step 2", id="gradients stay NaN"),
        pytest.param(
            [*log([0.5, NAN, NAN, NAN], "grad_norm"), *log([3.0, 3.0, NAN])], "step 2", id="the first of both is named"
        ),
    ],
)
def test_a_log_that_is_not_finite(entries, where):
    (finding,) = not_finite(Log(entries))

    assert finding.where == where
    assert finding.observed in ("nan", "inf", "-inf")
    assert "2-10x" in finding.fix


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param(log([3.0, 2.0]), id="finite"),
        pytest.param([], id="empty"),
        pytest.param(log([3e38, 0.0, -1.0]), id="odd, but finite"),
        pytest.param(log([INF, INF, INF, 0.5, 0.4], "grad_norm"), id="fp16's loss scaler finds its scale"),
        pytest.param(log([0.5, 0.5, INF], "grad_norm"), id="fp16's loss scaler tries a larger scale"),
        pytest.param(log([None, 3.0]), id="a value that is missing"),
        pytest.param([{"step": 1, "mean_token_accuracy": NAN}], id="a metric that decides nothing"),
        pytest.param([{"loss": NAN}], id="a line without its step"),
    ],
)
def test_a_log_that_is_finite(entries):
    assert not_finite(Log(entries)) == []


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


def test_curve_keeps_the_steps_that_have_the_value():
    entries = [{"step": 1, "loss": 3}, {"step": 2, "eval_loss": 1.0}, {"step": 3, "loss": None}, {"loss": 2.0}]

    assert Log(entries).curve("loss").points() == [(1, 3.0)]
    assert json.dumps(Log(entries).curve("eval_loss").points()) == "[[2, 1.0]]"

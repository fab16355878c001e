"""The monitors of the loss: each fires on what it is for, and is silent on what only looks like it."""

import numpy as np
import pytest

from .conftest import INF, NAN, decay, flat, noisy

BUMP = [*decay(3, 1.5, 40), *decay(2.4, 1.2, 40)]
STAIRS = np.concatenate([noisy(flat(level, 33), 0.05) for level in (2.2, 1.7, 1.3)])
EASY_FIRST = np.concatenate([noisy(flat(1.0, 50), 0.1), noisy(flat(2.5, 50), 0.1)])
BY_LENGTH = np.tile(np.linspace(3.5, 1.5, 50), 4) * np.repeat([1.0, 0.9, 0.8, 0.75], 50)


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param(decay(3, 1, 100), id="smooth"),
        pytest.param(noisy(decay(3, 1.5, 100)), id="noisy, but falling"),
        pytest.param(noisy(decay(3, 2, 24)), id="noisy and short"),
        pytest.param(BUMP, id="a bump where harder examples begin"),
        pytest.param([3.0, *[1.0] * 30], id="everything was learned in one step"),
        pytest.param(np.linspace(0.4, 0.35, 20), id="low from the start"),
        pytest.param([3.0, NAN, 2.5, 2.0, NAN, 1.5] * 4, id="NaN is for another monitor"),
        pytest.param(noisy(flat(2.0, 22), 0.6), id="too noisy to tell"),
        pytest.param(STAIRS, id="stairs at the epochs"),
    ],
)
def test_a_loss_that_falls(judged, losses):
    assert judged("RUN-102", {"loss": losses}, steps=len(losses), epoch=len(losses)).outcome == "passed"


@pytest.mark.parametrize(
    "losses, plan",
    [
        pytest.param([], {}, id="no loss"),
        pytest.param(flat(3, 12), {"steps": 12, "epoch": 12}, id="a run of twelve steps"),
        pytest.param(flat(3, 40), {"steps": 40, "epoch": 40, "warmup": 30}, id="most of it is warm-up"),
    ],
)
def test_too_few_losses_tell_nothing_of_a_trend(judged, losses, plan):
    assert judged("RUN-102", {"loss": losses}, **plan).outcome == "not-applicable"


@pytest.mark.parametrize(
    "losses, observed, rate",
    [
        pytest.param(flat(3, 100), "+0.0%", "0.0004 and 0.001", id="flat"),
        pytest.param(flat(3, 20), "+0.0%", "0.0004 and 0.001", id="flat and short"),
        pytest.param(decay(1, 3, 100), "+", "2e-05 and 0.0001", id="rising"),
        pytest.param(2.0 - 0.001 * np.arange(20), "-", "0.0004 and 0.001", id="too little"),
        pytest.param(noisy(flat(3, 200), 0.05), "", "", id="nothing but noise"),
    ],
)
def test_a_loss_that_does_not_fall(judged, losses, observed, rate):
    result = judged("RUN-102", {"loss": losses}, steps=len(losses), epoch=len(losses))

    (finding,) = result.findings
    assert result.outcome == "failed"
    assert finding["observed"].startswith(observed)
    assert finding["where"] == f"{len(losses)} logged steps"
    assert rate in finding["fix"]


def test_a_trend_is_asked_for_once_the_first_epoch_is_over(judged):
    early, over = ({"loss": flat(3, count)} for count in (60, 80))

    assert judged("RUN-102", early, steps=300, epoch=80).outcome == "not-applicable"
    assert judged("RUN-102", over, steps=300, epoch=80).outcome == "failed"
    assert judged("RUN-102", over, steps=300, epoch=20, warmup=60).outcome == "not-applicable"


def test_rows_in_a_fixed_order_are_compared_epoch_with_epoch(judged):
    """Easy rows first: within an epoch the loss rises by itself."""
    plan = {"steps": 200, "epoch": 100, "order": "sequential"}

    assert judged("RUN-102", {"loss": EASY_FIRST}, **plan).outcome == "not-applicable"
    assert judged("RUN-102", {"loss": [*EASY_FIRST, *EASY_FIRST * 0.8]}, **plan).outcome == "passed"
    assert judged("RUN-102", {"loss": [*EASY_FIRST, *EASY_FIRST]}, **plan).outcome == "failed"


def test_swings_of_rows_grouped_by_length_are_no_trend(judged):
    plan = {"steps": 200, "epoch": 200, "order": "group_by_length"}

    assert judged("RUN-102", {"loss": BY_LENGTH}, **plan).outcome == "passed"
    assert judged("RUN-102", {"loss": np.tile(BY_LENGTH[:50], 4)}, **plan).outcome == "failed"


def test_a_validation_loss_that_falls_speaks_for_the_run(judged):
    """A training loss that hardly moves may be dropout, or packing; what counts is held out."""
    log = [{"step": step + 1, "loss": 3.0} for step in range(100)]
    held_out = [{"step": 10, "eval_loss": 3.0}, {"step": 100, "eval_loss": 2.5}]

    assert judged("RUN-102", log).outcome == "failed"
    assert judged("RUN-102", [*log, *held_out]).outcome == "passed"
    assert judged("RUN-102", [*log, held_out[0], {"step": 100, "eval_loss": 3.0}]).outcome == "failed"


@pytest.mark.parametrize(
    "log, where",
    [
        pytest.param({"loss": [3.0, NAN, 2.0]}, "step 2", id="NaN"),
        pytest.param({"loss": [NAN, NAN]}, "step 1", id="NaN at once"),
        pytest.param({"loss": [3.0, INF]}, "step 2", id="infinite"),
        pytest.param({"loss": [3.0, -INF]}, "step 2", id="minus infinity"),
        pytest.param([{"step": 1, "loss": 3.0}, {"step": 2, "eval_loss": NAN}], "step 2", id="on validation"),
        pytest.param([{"step": 9, "train_loss": NAN}], "step 9", id="in the summary alone"),
        pytest.param({"loss": [3.0] * 4, "grad_norm": [0.5, NAN, NAN, NAN]}, "step 2", id="gradients stay NaN"),
        pytest.param({"loss": [3.0] * 3, "finite": [1, 1, 0]}, "step 3", id="weights"),
        pytest.param({"loss": [3.0, NAN, NAN], "finite": [0, 0, 0]}, "step 1", id="the first is named"),
    ],
)
def test_a_log_that_is_not_finite(judged, log, where):
    result = judged("RUN-101", log, fp16=True)

    (finding,) = result.findings
    assert (result.outcome, finding["where"]) == ("failed", where)
    assert finding["observed"] in ("nan", "inf", "-inf")
    assert "2e-05 and 0.0001. Use bf16" in finding["fix"]


@pytest.mark.parametrize(
    "log",
    [
        pytest.param({"loss": [3.0, 2.0]}, id="finite"),
        pytest.param({"loss": [3e38, 0.0, -1.0]}, id="odd, but finite"),
        pytest.param({"loss": [3.0] * 5, "grad_norm": [INF, INF, INF, 0.5, 0.4]}, id="fp16's scaler finds its scale"),
        pytest.param({"loss": [3.0] * 3, "grad_norm": [0.5, 0.5, INF]}, id="fp16's scaler tries a larger scale"),
        pytest.param([{"step": 1, "loss": None}, {"step": 2, "loss": 3.0}], id="a value that is missing"),
        pytest.param([{"step": 1, "loss": 2.0, "mean_token_accuracy": NAN}], id="a metric that decides nothing"),
    ],
)
def test_a_log_that_is_finite(judged, log):
    assert judged("RUN-101", log).outcome == "passed"


@pytest.mark.parametrize(
    "losses, plan, message",
    [
        pytest.param([7.1, 7.0], {"first_loss": 1.8}, "and 1.80 was rehearsed", id="not what was rehearsed"),
        pytest.param([7.2] * 5, {"first_loss": 1.8, "accumulation": 4}, "7.20, and 1.80", id="summed"),
        pytest.param([10.4, 10.5], {"guessing": 10.8}, "that of guessing", id="a tokenizer of another model"),
        pytest.param([0.001, 0.002], {}, "almost zero", id="nothing to learn"),
        pytest.param([0.2, 0.25], {"text": True}, "almost zero", id="text that is known by heart"),
        pytest.param([7.0, 6.9], {"text": True, "guessing": 10.8}, "is high", id="text of another language"),
    ],
)
def test_first_losses_that_are_odd(judged, losses, plan, message):
    result = judged("RUN-103", {"loss": losses}, **plan)

    assert result.outcome == "warned"
    assert message in result.findings[0]["message"]
    assert ("gradient_accumulation_steps: 1, with 16 rows" in result.findings[0]["fix"]) == ("accumulation" in plan)


@pytest.mark.parametrize(
    "losses, plan",
    [
        pytest.param([2.6, 2.5], {"first_loss": 2.4, "guessing": 10.8, "text": True}, id="text as usual"),
        pytest.param([0.6, 0.7], {"first_loss": 0.7}, id="an easy chat"),
        pytest.param([2.0, 4.4, 1.1, 3.9, 2.7], {"first_loss": 1.7}, id="few and noisy rows a step"),
        pytest.param([5.2, 5.3], {"guessing": 5.9}, id="a tiny vocabulary"),
        pytest.param([3.1], {}, id="nothing is known"),
    ],
)
def test_first_losses_that_are_reasonable(judged, losses, plan):
    assert judged("RUN-103", {"loss": losses}, **plan).outcome == "passed"


@pytest.mark.parametrize(
    "losses, since",
    [
        pytest.param([*decay(3, 1, 40), *decay(3.5, 9, 40)], "at the start", id="above the untrained model"),
        pytest.param([*decay(3, 0.8, 60), *flat(2.6, 20)], "at step", id="most of the gain is lost"),
        pytest.param(noisy([*flat(2, 10), *flat(7, 20)]), "at the start", id="at once, and noisy"),
        pytest.param([2.4, 2.5, 2.4, 2.6, 2.5, *noisy(flat(15, 40), 0.7)], "at the start", id="to chaos"),
    ],
)
def test_a_loss_that_diverges(judged, losses, since):
    result = judged("RUN-104", {"loss": losses})

    assert result.outcome == "failed"
    assert since in result.findings[0]["message"]
    assert "between 2e-05 and 0.0001" in result.findings[0]["fix"]


@pytest.mark.parametrize(
    "losses, plan",
    [
        pytest.param(noisy(decay(3, 1, 100), 0.4), {}, id="noisy"),
        pytest.param([3.0, 9.0, *decay(3, 1, 60)], {}, id="one spike at the start"),
        pytest.param(BUMP, {}, id="a bump where harder examples begin"),
        pytest.param(noisy(flat(0.02, 100), 0.9), {}, id="noise of a loss near zero"),
        pytest.param(EASY_FIRST * 0.6, {"order": "sequential"}, id="easy rows first"),
        pytest.param(BY_LENGTH, {"order": "group_by_length"}, id="grouped by length"),
    ],
)
def test_a_loss_that_does_not_diverge(judged, losses, plan):
    assert judged("RUN-104", {"loss": losses}, **plan).outcome in ("passed", "not-applicable")


def test_a_loss_that_was_chaos_from_the_second_step_on_is_held_against_the_rehearsal(judged):
    losses = [2.4, 4.8, 13.0, 12.5, 12.0, 9.0, *noisy(flat(8, 40), 0.2)]

    assert judged("RUN-104", {"loss": losses}).outcome == "passed"
    known = judged("RUN-104", {"loss": losses}, first_loss=2.4)
    assert "from 2.400 before its first steps" in known.findings[0]["message"]
    assert judged("RUN-104", {"loss": noisy(decay(5, 3, 60))}, first_loss=2.4).outcome == "passed"


def test_a_loss_that_was_chaos_within_the_first_five_steps(judged):
    """A rate of 0.1, as it went."""
    losses = [2.44, 2.52, 3.44, 24.89, 14.82, 65.8, 46.66, 24.6, 79.2, 37.87, 40.7, 27.65, 21.19, 15.19, 16.74, 46.62]

    assert judged("RUN-104", {"loss": losses[:15]}).outcome == "failed"


def with_spikes(values, at, factor):
    values = np.array(values, dtype=float)
    values[at] *= factor
    return values


CALM = noisy(flat(2.0, 80), 0.1)


@pytest.mark.parametrize(
    "curves, plan, what",
    [
        pytest.param({"loss": with_spikes(CALM, [40, 55, 70], 4)}, {}, "losses", id="losses"),
        pytest.param(
            {"loss": CALM, "grad_norm": with_spikes(noisy(flat(0.5, 80)), [40, 50, 60, 70], 20)},
            {},
            "gradient norms",
            id="gradients",
        ),
    ],
)
def test_spikes(judged, curves, plan, what):
    result = judged("RUN-105", curves, **plan)

    assert result.outcome == "warned"
    assert f"logged {what} are spikes" in result.findings[0]["message"]
    assert "warmup_steps: 0.03" in result.findings[0]["fix"]


@pytest.mark.parametrize(
    "curves, plan",
    [
        pytest.param({"loss": CALM}, {}, id="noise"),
        pytest.param({"loss": with_spikes(CALM, [40, 70], 6)}, {}, id="two odd rows"),
        pytest.param({"loss": noisy(decay(3, 1, 80), 0.5)}, {}, id="much noise"),
        pytest.param({"loss": CALM, "grad_norm": [20.0, 9.0, 5.0, *flat(1.0, 77)]}, {}, id="gradients of the start"),
        pytest.param({"loss": with_spikes(CALM, [40, 50, 60], 4)}, {"order": "sequential"}, id="a fixed order"),
    ],
)
def test_no_spikes(judged, curves, plan):
    assert judged("RUN-105", curves, **plan).outcome == "passed"


@pytest.mark.parametrize(
    "losses, where",
    [
        pytest.param([2.0, 1.9, 0.0, 0.0], "step 3", id="from the third step on"),
        pytest.param([0.0, 0.0], "step 1", id="at once"),
        pytest.param([2.0, 0.0, 0.0, 2.0], "step 2", id="for a while"),
    ],
)
def test_a_loss_of_exactly_zero(judged, losses, where):
    result = judged("RUN-106", {"loss": losses}, fp16=True)

    assert (result.outcome, result.findings[0]["where"]) == ("failed", where)
    assert "bf16 rather than fp16" in result.findings[0]["fix"]


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param([2.0, 0.0, 1.9, 1.8], id="once"),
        pytest.param([2.0, 0.3, 0.01, 0.0, 0.0], id="everything is learned"),
        pytest.param([0.0001, 0.0002], id="almost zero"),
    ],
)
def test_a_loss_that_is_not_zero(judged, losses):
    assert judged("RUN-106", {"loss": losses}).outcome == "passed"


def test_a_step_without_supervised_tokens(judged):
    empty = judged("RUN-107", {"loss": [2.0] * 4, "supervised": [80, 0, 75, 0]})

    assert (empty.outcome, empty.findings[0]["where"]) == ("warned", "step 2")
    assert judged("RUN-107", {"loss": [2.0] * 3, "supervised": [80, 1, 75]}).outcome == "passed"
    assert judged("RUN-107", {"loss": [2.0] * 3}).outcome == "not-applicable"


@pytest.mark.parametrize(
    "losses, plan, outcome",
    [
        pytest.param([2.0, *flat(4.5, 9)], {}, "warned", id="destroyed at once"),
        pytest.param([2.4, 4.8, 13.0, 12.5, 3.0, 9.0, 12.0, 7.0, 15.0, 11.0], {}, "warned", id="chaos"),
        pytest.param([2.0, *flat(2.2, 9)], {}, "passed", id="a little higher"),
        pytest.param([1.0, 3.0, 1.2, 2.9, 1.1, 2.8, 1.0, 3.1, 1.2, 2.5], {}, "passed", id="noise"),
        pytest.param(decay(3, 1, 20), {}, "passed", id="falling"),
        pytest.param([2.0, *flat(4.5, 9)], {"order": "sequential"}, "not-applicable", id="a fixed order"),
        pytest.param([2.0, 4.5], {}, "not-applicable", id="too early"),
    ],
)
def test_the_start(judged, losses, plan, outcome):
    result = judged("RUN-112", {"loss": losses}, **plan)

    assert result.outcome == outcome
    if outcome == "warned":
        assert "training.warmup_steps: 0.03 (3 steps of 100)" in result.findings[0]["fix"]
        with_warmup = judged("RUN-112", {"loss": losses}, warmup=5)
        assert "training.learning_rate" in with_warmup.findings[0]["fix"]


SCALES = 2.0 ** np.array([16, 15, 14, 13, *[13] * 40])


@pytest.mark.parametrize(
    "scales, skipped, outcome",
    [
        pytest.param(SCALES, [1, 1, 1, *[0] * 41], "passed", id="it settles"),
        pytest.param(SCALES, [*[0] * 40, 1, 0, 0, 1], "passed", id="it tries a larger one"),
        pytest.param(2.0 ** np.arange(16, -14, -1), [1] * 30, "failed", id="it falls below one"),
        pytest.param(2.0 ** np.arange(16, -8, -1) + 10, [1] * 24, "failed", id="all steps are skipped"),
        pytest.param([], [], "not-applicable", id="no scaler"),
    ],
)
def test_the_loss_scaler(judged, scales, skipped, outcome):
    curves = {"loss": flat(2.0, max(len(scales), 1)), "loss_scale": scales, "skipped": skipped}

    result = judged("RUN-114", curves)

    assert result.outcome == outcome
    assert not result.findings or "bf16: true" in result.findings[0]["fix"]

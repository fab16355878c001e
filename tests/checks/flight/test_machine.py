"""The monitors of the machine: memory, the card, the pace, and a run that hangs."""

import numpy as np
import pytest

from .conftest import flat, noisy

GIB = 2.0**30


def saw(low, count, height=0.4):
    """Memory that is taken and given back, as a garbage collector does."""
    return low + height * (np.arange(count) % 10)


@pytest.mark.parametrize(
    "values, outcome",
    [
        pytest.param(np.linspace(4, 9, 80) * GIB, "warned", id="it grows"),
        pytest.param((np.linspace(4, 9, 80) + saw(0, 80)) * GIB, "warned", id="it grows, up and down"),
        pytest.param(np.linspace(4, 4.2, 80) * GIB, "passed", id="by little"),
        pytest.param(saw(4, 80) * GIB, "passed", id="it comes and goes"),
        pytest.param((4 + np.minimum(np.arange(80), 30) / 10) * GIB, "passed", id="it grows at first, then rests"),
        pytest.param((9 - np.exp(-np.arange(80) / 15) * 5) * GIB, "passed", id="it comes to rest slowly"),
        pytest.param(noisy(flat(4, 80), 0.1) * GIB, "passed", id="noise"),
        pytest.param(np.linspace(4, 9, 10) * GIB, "not-applicable", id="too early"),
    ],
)
@pytest.mark.parametrize("place", ["memory_allocated", "memory_resident"])
def test_memory(judged, values, outcome, place):
    result = judged("RUN-120", {place: values}, steps=800)

    assert result.outcome == outcome
    if result.findings:
        assert "MiB in the last 59 steps" in result.findings[0]["message"]
        assert "GiB at the end of the run" in result.findings[0]["why"]


def card(busy, *, waited=0.05, used=0.9, count=20):
    return {
        "gpu_utilization": flat(busy, count),
        "time": np.arange(count) * 10.0,
        "step_seconds": 1.0,
        "wait_seconds": waited,
        "memory_reserved": used * 80 * GIB,
        "memory_total": 80 * GIB,
    }


@pytest.mark.parametrize(
    "curves, plan, cause, fix",
    [
        pytest.param(card(40, waited=0.5), {}, "waits for data", "dataloader_num_workers: 4", id="the loader"),
        pytest.param(
            card(40), {"offloaded": "training.deepspeed"}, "lie on the host", "training.deepspeed", id="offloading"
        ),
        pytest.param(
            card(40, used=0.2),
            {"batch": 2, "accumulation": 8},
            "20% of its memory is used",
            "per_device_train_batch_size: 4, gradient_accumulation_steps: 4",
            id="small batches",
        ),
        pytest.param(card(40), {}, "kernels are short", "flash_attention_2", id="what is left"),
    ],
)
def test_a_card_that_waits(judged, curves, plan, cause, fix):
    result = judged("RUN-121", curves, **plan)

    assert result.outcome == "warned"
    assert cause in result.findings[0]["message"]
    assert fix in result.findings[0]["fix"]


def test_a_card_that_is_busy(judged):
    assert judged("RUN-121", card(93)).outcome == "passed"
    assert judged("RUN-121", card(40, count=4)).outcome == "not-applicable"
    assert judged("RUN-121", {"step_seconds": [1.0] * 20}).outcome == "not-applicable"


@pytest.mark.parametrize(
    "pace, outcome",
    [
        pytest.param(noisy(flat(900, 80)), "passed", id="even"),
        pytest.param(np.linspace(900, 600, 80), "passed", id="longer rows"),
        pytest.param([300.0] * 8 + [900.0] * 72, "passed", id="a slow start"),
        pytest.param(np.linspace(900, 200, 80), "warned", id="slower and slower"),
        pytest.param([900.0] * 55 + [300.0] * 25, "warned", id="from one moment on"),
        pytest.param(np.linspace(900, 200, 40), "not-applicable", id="too early"),
    ],
)
def test_the_pace(judged, pace, outcome):
    assert judged("RUN-122", {"tokens_per_second": pace}).outcome == outcome


@pytest.mark.parametrize(
    "waited, outcome",
    [
        pytest.param([0.05] * 20, "passed", id="it keeps up"),
        pytest.param([2.0, *[0.05] * 19], "passed", id="workers start"),
        pytest.param([0.3] * 20, "warned", id="it doesn't"),
        pytest.param([0.3] * 5, "not-applicable", id="too early"),
    ],
)
def test_the_loader(judged, waited, outcome):
    assert judged("RUN-123", {"wait_seconds": waited, "step_seconds": 1.0}).outcome == outcome


STALLED = {"step": 2, "time": 9e9, "stalled": 1900.0, "where": "get (queue.py:171)"}


def test_a_run_that_hangs(judged):
    result = judged("RUN-124", [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 2.0}, STALLED])

    assert result.outcome == "failed"
    assert result.findings[0]["where"] == "get (queue.py:171)"
    assert "nothing happened for 1900 s after step 2" in result.findings[0]["message"]


def test_a_run_that_was_started_again_is_not_blamed_for_having_hung(judged):
    again = [{"step": 2, "loss": 2.0}, STALLED, {"step": 2, "resumed": True}, {"step": 3, "loss": 1.9}]

    assert judged("RUN-124", again).outcome == "passed"
    assert judged("RUN-124", []).outcome == "not-applicable"

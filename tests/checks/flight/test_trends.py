"""The monitors of a whole run: what was learned, what is held out, and what became of a resume."""

import numpy as np
import pytest

from .conftest import decay, flat, noisy

LOW = {"rate": 1e-5, "steps": 200, "epoch": 100}


@pytest.mark.parametrize(
    "losses, plan, outcome",
    [
        pytest.param(noisy(flat(2.0, 80), 0.05), LOW, "warned", id="still, at a low rate"),
        pytest.param(noisy(flat(2.0, 80), 0.05), LOW | {"rate": 2e-6, "rank": 0}, "warned", id="still, all weights"),
        pytest.param(noisy(flat(2.0, 80), 0.05), LOW | {"rank": 0}, "passed", id="a usual rate for all weights"),
        pytest.param(noisy(flat(2.0, 80), 0.05), LOW | {"rate": 2e-4}, "passed", id="a usual rate for LoRA"),
        pytest.param(noisy(decay(2.0, 1.7, 80), 0.05), LOW, "passed", id="falling, at a low rate"),
        pytest.param(noisy(flat(2.0, 80), 0.8), LOW, "not-applicable", id="too noisy to tell"),
        pytest.param(flat(2.0, 40), LOW, "not-applicable", id="too early"),
        pytest.param(flat(2.0, 80), LOW | {"order": "sequential"}, "not-applicable", id="rows in a fixed order"),
    ],
)
def test_an_early_plateau(judged, losses, plan, outcome):
    result = judged("RUN-110", {"loss": losses}, **plan)

    assert result.outcome == outcome
    if result.findings:
        rates = "4e-06 and 1e-05" if not plan.get("rank", 16) else "2e-05 and 5e-05"
        assert rates in result.findings[0]["fix"]


@pytest.mark.parametrize(
    "losses, plan, fix",
    [
        pytest.param(np.linspace(2.0, 1.93, 160), {}, "gate_proj, up_proj, down_proj", id="attention alone"),
        pytest.param(np.linspace(2.0, 1.93, 160), {"mlp": True, "rank": 8}, "lora.r: 16", id="a low rank"),
        pytest.param(noisy(np.linspace(2.0, 1.92, 160), 0.03), {}, "gate_proj", id="noisy"),
    ],
)
def test_an_adapter_that_learns_little(judged, losses, plan, fix):
    result = judged("RUN-113", {"loss": losses}, steps=200, epoch=200, **plan)

    assert result.outcome == "warned"
    assert fix in result.findings[0]["fix"]


@pytest.mark.parametrize(
    "losses, plan, outcome",
    [
        pytest.param(decay(2.0, 1.2, 160), {}, "passed", id="it learns"),
        pytest.param(flat(2.0, 160), {}, "passed", id="nothing at all is for RUN-102"),
        pytest.param(np.linspace(2.0, 1.93, 160), {"rank": 0}, "not-applicable", id="all weights"),
        pytest.param(np.linspace(2.0, 1.93, 160), {"rate": 1e-5}, "not-applicable", id="a low rate is for RUN-110"),
        pytest.param(np.linspace(2.0, 1.93, 80), {}, "not-applicable", id="too early"),
    ],
)
def test_an_adapter_that_learns(judged, losses, plan, outcome):
    assert judged("RUN-113", {"loss": losses}, steps=200, epoch=200, **plan).outcome == outcome


def evaluations(*losses):
    return [{"step": 50 * at, "eval_loss": loss} for at, loss in enumerate(losses, 1)]


@pytest.mark.parametrize(
    "losses, outcome",
    [
        pytest.param((2.0, 1.5, 1.6, 1.8), "warned", id="it rises again"),
        pytest.param((1.5, 1.6, 1.8), "warned", id="from the start"),
        pytest.param((2.0, 1.5, 1.4, 1.3), "passed", id="it falls"),
        pytest.param((2.0, 1.5, 1.51, 1.52), "passed", id="it comes to rest"),
        pytest.param((2.0, 1.5, 1.8, 1.6), "passed", id="it comes back"),
        pytest.param((2.0, 1.5, 1.8), "passed", id="once"),
        pytest.param((2.0, 2.2), "not-applicable", id="two evaluations"),
    ],
)
def test_the_validation_loss(judged, losses, outcome):
    result = judged("RUN-111", evaluations(*losses), steps=200, epoch=50)

    assert result.outcome == outcome
    if result.findings:
        best = 50 * (1 + losses.index(min(losses)))
        assert f"End at step {best}: training.num_train_epochs: {best // 50}" in result.findings[0]["fix"]


def resumed(before, after):
    """A log that goes on after its last step, marked as the trainer does."""
    log = [{"step": step, "loss": loss} for step, loss in enumerate([*before, *after], 1)]
    log.insert(len(before), {"step": len(before), "resumed": True})
    return log


@pytest.mark.parametrize(
    "before, after, outcome",
    [
        pytest.param(decay(3, 1, 40), [2.9, 2.8, 2.7], "failed", id="the adapter started afresh"),
        pytest.param(decay(3, 1, 40), [1.0, 0.95, 1.05], "passed", id="it goes on"),
        pytest.param(noisy(decay(3, 1, 40), 0.4), [1.3, 0.8, 1.2], "passed", id="noisy"),
        pytest.param(decay(3, 1, 40), [1.6, 1.5, 1.4], "passed", id="harder rows"),
        pytest.param([3.0], [3.0], "not-applicable", id="too early"),
    ],
)
def test_a_resume(judged, before, after, outcome):
    result = judged("RUN-115", resumed(before, after))

    assert result.outcome == outcome
    assert all(finding["where"] == "step 40" for finding in result.findings)


def test_a_run_that_was_not_resumed(judged):
    assert judged("RUN-115", {"loss": decay(3, 1, 40)}).outcome == "not-applicable"


def moving(still, *, count=8, norms=0.5, **more):
    steps = len(still)
    curves = {"loss": flat(2.0, steps), "learning_rate": 2e-4, "trained_still": still, "trained_matrices": count}
    return curves | {"grad_norm": flat(norms, steps)} | more


@pytest.mark.parametrize(
    "curves, outcome",
    [
        pytest.param(moving([0] * 6), "passed", id="all move"),
        pytest.param(moving([4, 0, 0, 0, 0]), "passed", id="lora_A stands still in the first step"),
        pytest.param(moving([0, 0, 8, 8, 8]), "failed", id="none moves any more"),
        pytest.param(moving([0] * 5, norms=0.0), "failed", id="no gradients"),
        pytest.param(moving([8] * 5, learning_rate=[0.0] * 5), "not-applicable", id="the rate is zero"),
        pytest.param(moving([0, 0, *[8] * 4], skipped=[0, 0, 1, 1, 1, 1]), "not-applicable", id="skipped by fp16"),
        pytest.param(moving([8, 8]), "not-applicable", id="too early"),
        pytest.param({"loss": flat(2.0, 5), "learning_rate": 2e-4, "grad_norm": [0.5] * 5}, "passed", id="norms alone"),
    ],
)
def test_weights_that_move(judged, curves, outcome):
    result = judged("RUN-108", curves)

    assert result.outcome == outcome
    if result.findings:
        assert "use_reentrant: false" in result.findings[0]["fix"]


@pytest.mark.parametrize(
    "zero, plan, outcome",
    [
        pytest.param([8, *[0] * 14], {}, "passed", id="all left zero"),
        pytest.param([8, *[3] * 14], {}, "warned", id="three did not"),
        pytest.param([8, 3, 3], {}, "not-applicable", id="too early"),
        pytest.param([8, *[3] * 14], {"rank": 0}, "not-applicable", id="all weights"),
    ],
)
def test_matrices_that_stay_zero(judged, zero, plan, outcome):
    curves = {"trained_zero": zero, "trained_matrices": 16, "learning_rate": [2e-4] * len(zero)}

    assert judged("RUN-109", curves, **plan).outcome == outcome

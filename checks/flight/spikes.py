from typing import Any

import numpy as np
from numpy.typing import NDArray

from preflight import Finding, check, not_applicable, report_findings
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.flight import Curve, Log
from preflight.flight.plan import Plan
from preflight.flight.trend import finite, losses_of, lower

RECENT = 100  # logged steps that are judged


@check(
    "RUN-105",
    "no-loss-spikes",
    severity="recommended",
    section=5,
    item="Learning rate too high: loss spikes, NaN",
    thresholds={
        "window": 50,
        "min_logged": 20,
        "loss_times": 1.5,
        "loss_deviations": 8,
        "norm_times": 10,
        "max_spikes": 2,
    },
)
def neither_loss_nor_gradients_spike(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """Losses and gradient norms don't jump far above what they were.

    What it checks: Logged losses that are 1.5 times, and 8 median deviations, above the median of the 50 before; and
    gradient norms that are 10 times the median of the 50 before. Up to two of the last hundred are left alone: single
    odd rows do that. Losses of rows in a fixed order are not judged: length and difficulty change in steps.
    Why it matters: Spikes are the first sign of a rate that is too high, before the loss diverges.
    How to fix: Lower `training.learning_rate` by 2-10x, or `lora.lora_alpha` with rsLoRA; add 3-5 % of warm-up.
    Evidence: the checklist's common issues; unslothai/unsloth#577, gradient norms of rsLoRA; artidoro/qlora#84, swings
    of `group_by_length` that were taken for instability.
    """
    recent = RECENT + limits.window
    losses, norms = (
        Curve(curve.steps[-recent:], curve.values[-recent:])
        for curve in (losses_of(run_log, plan), finite(run_log.curve("grad_norm")))
    )
    if max(len(losses), len(norms)) <= limits.min_logged:
        not_applicable(f"asked from {limits.min_logged + 1} logged steps on")
    jumped = spikes(losses.values, limits.window, limits.min_logged, limits.loss_times, limits.loss_deviations)
    kicked = spikes(norms.values, limits.window, limits.min_logged, limits.norm_times, 0)
    found = {"losses": [], "gradient norms": [int(norms.steps[at]) for at in kicked if at >= len(norms) - RECENT]}
    if plan.order == "random":
        found["losses"] = [int(losses.steps[at]) for at in jumped if at >= len(losses) - RECENT]
    evidence(", ".join(f"{counted(len(steps), 'spike')} of {what}" for what, steps in found.items()), **found)
    report_findings(
        Finding(
            f"{len(steps)} of the last {RECENT} logged {what} are spikes",
            where="steps " + ", ".join(map(str, steps[-3:])),
            observed=str(len(steps)),
            expected=f"{limits.max_spikes} or fewer",
            why="The updates are about as large as the model can follow; the next step up is a loss that diverges.",
            fix=f"{lower(plan.rate)}" + ("." if plan.warmup else ", and set training.warmup_steps: 0.03."),
        )
        for what, steps in found.items()
        if len(steps) > limits.max_spikes
    )


def spikes(values: NDArray[np.float64], window: int, least: int, factor: float, deviations: float) -> list[int]:
    """Positions of values far above the median of those before.

    Args:
        values: The curve, one dimension.
        window: Values before each that are looked at.
        least: With fewer before it, a value is not judged.
        factor: How many times the median a spike is.
        deviations: By how many median absolute deviations it is above the median.
    """
    if len(values) <= least:
        return []
    padded = np.concatenate([np.full(window, np.nan), values[:-1]])
    before = np.lib.stride_tricks.sliding_window_view(padded, window)[least:]
    middle = np.nanmedian(before, axis=1)
    spread = np.nanmedian(np.abs(before - middle[:, None]), axis=1)
    now = values[least:]
    odd = (now > factor * middle) & (now > middle + deviations * spread) & (middle > 0)
    return [int(at) + least for at in np.flatnonzero(odd)]

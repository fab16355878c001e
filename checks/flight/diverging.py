from typing import Any, NamedTuple

import numpy as np

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Curve, Log
from preflight.flight.plan import Plan
from preflight.flight.trend import losses_of, lower


@check(
    "RUN-104",
    "loss-does-not-diverge",
    severity="required",
    section=5,
    item="Learning rate too high: loss spikes, NaN",
    thresholds={
        "max_of_first": 1.3,
        "max_of_start": 2,
        "max_in_order": 4,
        "max_lost": 0.5,
        "window": 10,
        "first": 5,
    },
)
def the_loss_does_not_diverge(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """The loss doesn't rise above that of the untrained model, nor lose most of what it had gained.

    What it checks: The last 10 logged losses. Their mean must not be more than 1.3 times that of the first five, nor
    twice the very first two or what was rehearsed, nor so far above the lowest such mean that half of the first loss is
    lost again. Noise doesn't count: nine of the ten must be above all that they are compared with. Of rows in a fixed
    order only four times the first counts, since later ones may be harder.
    Why it matters: The updates are larger than the model can follow: it gets worse than its base, and seldom recovers.
    How to fix: Lower `training.learning_rate` by 2-10x; with rsLoRA lower `lora.lora_alpha` instead. If the loss
    jumped within a step, look at the rows of that step.
    Evidence: the checklist's common issues; haotian-liu/LLaVA#1301, a rate that made the loss jump mid-run.
    """
    losses = losses_of(run_log, plan)
    if len(losses) < limits.first + limits.window:
        not_applicable(f"asked from {limits.first + limits.window} logged losses on")
    now = state_of(losses, limits)
    evidence(f"{now.last:.3f}, {now.first:.3f} at the start, lowest {now.lowest:.3f}", **now._asdict())
    report_findings(judge(now, plan, limits))


class State(NamedTuple):
    """Means of the loss over windows.

    Attributes:
        step: The last step.
        first: The first window's.
        start: The higher of the very first two losses.
        lowest: The lowest of all.
        at: The step of the lowest.
        last: The last one's.
        floor: What all losses of the last window but one are not below.
        first_top: The highest loss of the first window.
        lowest_top: The highest of the lowest.
    """

    step: int
    first: float
    start: float
    lowest: float
    at: int
    last: float
    floor: float
    first_top: float
    lowest_top: float


def state_of(losses: Curve, limits: Any) -> State:
    """The windows of a loss curve."""
    values, width = losses.values, limits.window
    sums = np.cumsum(np.insert(values, 0, 0.0))
    means = (sums[width:] - sums[:-width]) / width
    best = int(np.argmin(means))
    return State(
        step=int(losses.steps[-1]),
        first=float(values[: limits.first].mean()),
        start=float(values[:2].max()),
        lowest=float(means[best]),
        at=int(losses.steps[best + width - 1]),
        last=float(means[-1]),
        floor=float(np.sort(values[-width:])[1]),  # noise of any size seldom lifts nine of ten
        first_top=float(values[: limits.first].max()),
        lowest_top=float(values[best : best + width].max()),
    )


def judge(now: State, plan: Plan, limits: Any) -> list[Finding]:
    """Whether the loss diverges.

    Args:
        now: Where it stands.
        plan: The plan of the run.
        limits: The check's thresholds.
    """
    shuffled = plan.order == "random"
    most = now.first * (limits.max_of_first if shuffled else limits.max_in_order)
    start = limits.max_of_start * min(now.start, plan.first_loss or now.start)
    if now.last > most and now.floor > now.first_top:
        since = f"{now.first:.3f} at the start"
    elif shuffled and now.floor > start:
        since, most = f"{start / limits.max_of_start:.3f} before its first steps", start
    elif shuffled and now.last > now.lowest + limits.max_lost * now.first and now.floor > now.lowest_top:
        since, most = f"{now.lowest:.3f} at step {now.at}", now.lowest + limits.max_lost * now.first
    else:
        return []
    return [
        Finding(
            f"the loss diverges: {now.last:.3f} over the last {limits.window} logged steps, from {since}",
            where=f"step {now.step}",
            observed=f"{now.last:.3f}",
            expected=f"below {most:.3f}",
            why="The model is getting worse than its base: updates are larger than it can follow.",
            fix=f"{lower(plan.rate)}. If it jumped within a step, look at the rows of that step.",
        )
    ]

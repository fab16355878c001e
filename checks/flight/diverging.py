import math
from typing import Any, NamedTuple

import numpy as np

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Curve, Log
from preflight.flight.plan import Plan
from preflight.flight.trend import losses_of, lower, noise


@check(
    "RUN-104",
    "loss-does-not-diverge",
    severity="required",
    section=5,
    item="Learning rate too high: loss spikes, NaN",
    thresholds={"max_of_first": 1.3, "max_in_order": 4, "max_lost": 0.5, "window": 10, "first": 5},
)
def the_loss_does_not_diverge(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """The loss doesn't rise above that of the untrained model, nor lose most of what it had gained.

    What it checks: The mean of the last 10 logged losses: more than 1.3 times that of the first five, or so far above
    the lowest such mean that half of the first loss is lost again; and more than noise could do. Of rows in a fixed
    order only four times the first counts, since later ones may be harder.
    Why it matters: The updates are larger than the model can follow: it gets worse than its base, and seldom recovers.
    How to fix: Lower `training.learning_rate` by 2-10x; with rsLoRA lower `lora.lora_alpha` instead.
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
        lowest: The lowest of all.
        at: The step of the lowest.
        last: The last one's.
        error: Standard error of their differences.
    """

    step: int
    first: float
    lowest: float
    at: int
    last: float
    error: float


def state_of(losses: Curve, limits: Any) -> State:
    """The windows of a loss curve."""
    width = limits.window
    sums = np.cumsum(np.insert(losses.values, 0, 0.0))
    means = (sums[width:] - sums[:-width]) / width
    at = int(np.argmin(means))
    first = float(losses.values[: limits.first].mean())
    error = noise(losses.values) * math.sqrt(1 / limits.first + 1 / width)
    return State(
        int(losses.steps[-1]), first, float(means[at]), int(losses.steps[at + width - 1]), float(means[-1]), error
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
    above = now.last - most
    lost = now.last - now.lowest - limits.max_lost * now.first if shuffled else -math.inf
    # The noise counts once more: of a curve that is looked at after every step the worst moment is seen.
    if max(above, lost) <= 0 or now.last - (now.first if above > 0 else now.lowest) < 4 * now.error:
        return []
    since = f"{now.first:.3f} at the start" if above > 0 else f"{now.lowest:.3f} at step {now.at}"
    return [
        Finding(
            f"the loss diverges: {now.last:.3f} over the last {limits.window} logged steps, from {since}",
            where=f"step {now.step}",
            observed=f"{now.last:.3f}",
            expected=f"below {most:.3f}",
            why="The model is getting worse than its base: updates are larger than it can follow.",
            fix=f"{lower(plan.rate)}.",
        )
    ]

import math
from typing import Any

import numpy as np

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.plan import Plan
from preflight.flight.trend import losses_of, lower


@check(
    "RUN-112",
    "starts-calmly",
    severity="recommended",
    section=5,
    item="No warmup: early instability",
    thresholds={"max_rise": 0.5, "logged": 10},
)
def the_loss_does_not_rise_at_the_start(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """The loss doesn't rise over the first steps.

    What it checks: The second to tenth logged loss against the first: all but one of them more than 50 % higher, which
    noise seldom does. Rows in a fixed order are not judged.
    Why it matters: The first updates are taken at the full rate with moments of the optimizer that are not settled;
    what they destroy has to be learned again, or never is.
    How to fix: Set `training.warmup_steps: 0.03`, 3 % of the run; where there is a warm-up, lower the rate by 2-10x.
    Evidence: the checklist's common issues: no warm-up, early instability: add 3-5 % warm-up.
    """
    losses = losses_of(run_log, plan).values[: limits.logged]
    if plan.order != "random":
        not_applicable(f"rows come in the order {plan.order}")
    if len(losses) < limits.logged:
        not_applicable(f"asked from {limits.logged} logged losses on")
    first, rest = float(losses[0]), float(losses[1:].mean())
    evidence(f"{first:.3f}, then {rest:.3f}", first=first, rest=rest)
    if np.sort(losses[1:])[1] <= (1 + limits.max_rise) * first:
        return
    report_findings(
        [
            Finding(
                f"the loss rose at once: {first:.3f} first, {rest:.3f} over the next {len(losses) - 1} logged steps",
                where=f"the first {limits.logged} logged steps",
                observed=f"{rest / first - 1:+.0%}",
                expected=f"{limits.max_rise:+.0%} or less",
                why="The first updates destroyed what the base model knew.",
                fix=f"{lower(plan.rate)}."
                if plan.warmup
                else f"Set training.warmup_steps: 0.03 ({math.ceil(0.03 * plan.steps)} steps of {plan.steps}).",
            )
        ]
    )

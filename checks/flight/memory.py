from typing import Any

import numpy as np
from numpy.typing import NDArray

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.plan import Plan

GIB = 2**30
PLACES = {"memory_allocated": "the card", "memory_resident": "the host"}


@check(
    "RUN-120",
    "memory-stable",
    severity="recommended",
    section=5,
    item="Memory usage: stable, no OOM errors",
    thresholds={"min_logged": 20, "min_growth": 0.1, "parts": 4},
)
def memory_does_not_grow(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """Memory doesn't grow from step to step.

    What it checks: What the card has allocated between steps, and what the process holds on the host: after the first
    quarter of the logged steps, the lowest value of each of four parts. It grows if each part's is higher than that of
    the one before, the last growth is no smaller than half of the mean, and all of it is more than 10 %.
    Why it matters: The run ends out of memory, hours after it began.
    How to fix: Look for a callback, metric or data set that keeps tensors: keep `loss.item()`, not `loss`. Save often
    enough that a run that ends goes on from its last checkpoint.
    Evidence: the checklist's section 5.
    """
    curves = {key: run_log.curve(key) for key in PLACES}
    seen = {key: curve for key, curve in curves.items() if len(curve) >= limits.min_logged}
    if not seen:
        not_applicable(f"asked from {limits.min_logged} logged steps on")
    evidence(", ".join(f"{curve.values[-1] / GIB:.2f} GiB on {PLACES[key]}" for key, curve in seen.items()))
    found = []
    for key, curve in seen.items():
        growth = grown(curve.values, limits.parts, limits.min_growth)
        if growth is None:
            continue
        steps = curve.steps[-1] - curve.steps[len(curve) // 4]
        at_end = curve.values[-1] + growth / steps * max(plan.steps - curve.steps[-1], 0)
        found.append(
            Finding(
                f"memory on {PLACES[key]} grows: {growth / 2**20:,.0f} MiB in the last {int(steps)} steps",
                where=f"step {int(curve.steps[-1])}",
                observed=f"{curve.values[-1] / GIB:.2f} GiB",
                expected=f"as after the first quarter, {(curve.values[-1] - growth) / GIB:.2f} GiB",
                why=f"At this pace it needs {at_end / GIB:.1f} GiB at the end of the run.",
                fix="Look for a callback, metric or data set that keeps tensors: keep loss.item(), not loss.",
            )
        )
    report_findings(found)


def grown(values: NDArray[np.float64], parts: int, least: float) -> float | None:
    """By how many bytes memory has grown after the first quarter; None if it did not, or came to rest.

    Args:
        values: Bytes at each logged step.
        parts: Into how many parts the rest is cut.
        least: Share of the first part's that must have come on top.
    """
    lows = np.array([part.min() for part in np.array_split(values[len(values) // 4 :], parts)])
    steps = np.diff(lows)
    total = float(lows[-1] - lows[0])
    if (steps <= 0).any() or total < least * lows[0] or steps[-1] < steps.mean() / 2:
        return None
    return total

import math
from typing import Any

import numpy as np

from preflight import Finding, check, not_applicable, report_findings
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.flight import Curve, Log
from preflight.flight.plan import Plan
from preflight.flight.trend import Change, change, finite, higher, last_step, losses_of, lower


@check(
    "RUN-102",
    "loss-falls",
    severity="required",
    section=5,
    item="Loss decreasing: steady decrease first epoch",
    thresholds={"min_drop": 0.02, "visible": 0.1, "min_steps": 50, "fewest": 20},
)
def the_training_loss_falls(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """The training loss falls over the first epoch, and over the run.

    What it checks: The mean loss of the last quarter of logged steps against that of the first; in a short log, of the
    halves. Over several epochs of rows in a fixed order, one epoch against another. It is asked once the first epoch is
    over, 50 steps after the warm-up at the earliest, and at the end. A run of fewer than 20 steps after the warm-up is
    not judged, nor a curve so noisy that a fall of 10 % couldn't be seen, nor one whose validation loss falls.
    Why it matters: A loss that doesn't fall means that nothing was learned: labels, rate or target modules are wrong.
    How to fix: Raise `training.learning_rate` by 2-5x, train longer, or add the MLP layers to `lora.target_modules`. If
    the loss rose, lower the rate by 2-10x.
    Evidence: the checklist's section 5 and its common issues. Thresholds: 2 % is what noise alone can do in a short
    run; 10 % is less than a run that learns gains in its first epoch.
    """
    losses = losses_of(run_log, plan)
    step = last_step(run_log)
    early = max(plan.epoch, plan.warmup + limits.min_steps)
    if plan.steps < plan.warmup + limits.fewest:
        not_applicable(f"a run of {plan.steps} steps, {plan.warmup} of them warm-up, is too short to tell")
    if step < min(early, plan.steps):
        not_applicable(f"asked from step {min(early, plan.steps)} on")
    found = compare(losses, plan)
    if found is None:
        not_applicable(f"losses logged: {len(losses)}, too few to see a trend; lower training.logging_steps")
    held_out = change_of_evaluations(run_log)
    shown = f"{found.first:.3f} to {found.last:.3f} in {step} steps"
    evidence(shown, first=found.first, last=found.last, error=found.error, held_out=held_out)
    report_findings(judge(found, held_out, len(losses), plan, limits))


def compare(losses: Curve, plan: Plan) -> Change | None:
    """The change of the loss; None if there is too little to see one."""
    if plan.order == "random" or plan.epoch <= 0:
        return change(losses.values)
    epochs = int(losses.steps[-1] // plan.epoch) if len(losses) else 0
    if epochs < 2:  # what comes late in the file may be harder
        return change(losses.values) if plan.order == "group_by_length" else None
    number = np.ceil(losses.steps / plan.epoch)
    first, last = losses.values[number == 1], losses.values[number == epochs]
    return Change(float(first.mean()), float(last.mean()), 0.0) if len(first) and len(last) else None


def change_of_evaluations(log: Log) -> float | None:
    """Share by which the validation loss fell from the first evaluation to the best; None with fewer than two."""
    values = finite(log.curve("eval_loss")).values
    return float((values[0] - values.min()) / values[0]) if len(values) > 1 and values[0] else None


def judge(found: Change, held_out: float | None, logged: int, plan: Plan, limits: Any) -> list[Finding]:
    """Whether the loss does not fall.

    Args:
        found: How it changed.
        held_out: By which share the validation loss fell; None if that isn't known.
        logged: How many losses were logged.
        plan: The plan of the run.
        limits: The check's thresholds.
    """
    seen = 2 * found.error <= limits.visible * found.first or found.drop + 2 * found.error / (found.first or 1) < 0
    if found.last <= found.first * (1 - limits.min_drop) or not seen or math.isinf(found.error):
        return []
    if held_out is not None and held_out >= limits.min_drop:
        return []
    fix = f"{lower(plan.rate)}." if found.last > found.first else f"{higher(plan.rate)}, or train longer."
    return [
        Finding(
            f"the training loss does not fall: {found.first:.3f} at the start, {found.last:.3f} at the end",
            where=counted(logged, "logged step"),
            observed=found.words,
            expected=f"{-limits.min_drop:+.0%} or less",
            why="The adapter has learned nothing from the data.",
            fix=fix,
        )
    ]

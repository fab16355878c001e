from itertools import takewhile
from typing import Any

import numpy as np

from preflight import Finding, check, not_available, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.plan import Plan
from preflight.flight.trend import lower

LOSSES = ("loss", "eval_loss", "train_loss")


@check(
    "RUN-101",
    "losses-finite",
    severity="required",
    section=5,
    item="No NaN/Inf: check for numerical instability",
    thresholds={"norms": 3},
)
def every_logged_loss_is_finite(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """No logged loss, gradient norm or trained weight is NaN or infinite.

    What it checks: `loss`, `eval_loss` and `train_loss` of every step in run.jsonl, and the trained weights at each; of
    `grad_norm`, three in a row at the end, since fp16's loss scaler skips single steps whose gradients overflow.
    Why it matters: From the first NaN on, the weights are NaN.
    How to fix: Lower `training.learning_rate` by 2-10x; use bf16 rather than fp16.
    Evidence: the checklist's common issues: loss spikes or NaN mean that the learning rate is too high;
    hiyouga/LLaMA-Factory#2810 and huggingface/trl#1173, runs that went on for hundreds of steps with a loss of 0 or
    NaN.
    """
    logged = sum(len(run_log.curve(key)) for key in LOSSES)
    if not logged:
        not_available("the run log has no losses; set training.logging_steps and train again")
    evidence(f"{logged} logged losses", logged=len(run_log))
    report_findings(judge(run_log, plan, limits.norms))


def judge(log: Log, plan: Plan, norms: int) -> list[Finding]:
    """The first value that is not finite.

    Args:
        log: The run log.
        plan: The plan of the run.
        norms: Logged gradient norms in a row, at the end, that a loss scaler doesn't account for.
    """
    curves = {key: log.curve(key) for key in LOSSES}
    broken = [
        (step, key, value)
        for key, curve in curves.items()
        if not np.isfinite(curve.values).all()
        for step, value in curve.points()
        if not np.isfinite(value)
    ]
    tail = list(takewhile(lambda norm: not np.isfinite(norm[1]), reversed(log.curve("grad_norm").points()[-norms:])))
    if len(tail) >= norms:
        broken.append((tail[-1][0], "grad_norm", tail[-1][1]))
    weights = log.curve("finite")
    if not weights.values.all():
        broken.append((int(weights.steps[weights.values == 0][0]), "a trained weight", float("nan")))
    precision = " Use bf16 rather than fp16 if the card has it." if plan.fp16 else ""
    return [
        Finding(
            f"{key} is {value} at step {step}",
            where=f"step {step}",
            observed=str(value),
            expected="a finite number",
            why="From here on the weights are NaN; the adapter that was saved is useless.",
            fix=f"{lower(plan.rate)}.{precision}",
        )
        for step, key, value in sorted(broken, key=lambda found: found[0])[:1]
    ]

from typing import Any

import numpy as np

from preflight import Finding, check, not_applicable, not_available, report_findings
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.plan import Plan
from preflight.flight.trend import lower


@check(
    "RUN-106",
    "loss-not-zero",
    severity="required",
    section=5,
    item="No NaN/Inf: check for numerical instability",
    thresholds={"in_a_row": 2, "learned": 0.05},
)
def the_loss_is_not_exactly_zero(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """The logged loss is not exactly zero several times in a row.

    What it checks: Two logged losses of exactly 0.0 one after the other, unless the loss had come below 0.05 before by
    learning.
    Why it matters: Nothing was supervised, or an overflow is shown as zero: either way the run learns nothing, and may
    be destroying its weights.
    How to fix: Look at the supervised text with `preflight review`; use bf16 rather than fp16; lower the rate.
    Evidence: hiyouga/LLaMA-Factory#2810, Lightning-AI/litgpt#150: a loss of 0.0 with a gradient norm of NaN for
    hundreds of steps.
    """
    losses = run_log.curve("loss")
    if not len(losses) and run_log.foreign:
        not_applicable("the model was trained elsewhere, and its log has no training losses")
    if not len(losses):
        not_available("the run log has no losses; set training.logging_steps and train again")
    zero = losses.values == 0
    row = np.convolve(zero, np.ones(limits.in_a_row), "valid") if len(losses) >= limits.in_a_row else np.zeros(0)
    at = int(np.argmax(row >= limits.in_a_row)) if (row >= limits.in_a_row).any() else None
    evidence(f"{int(zero.sum())} zeros in {counted(len(losses), 'logged step')}")
    before = losses.values[: at or 0]
    if at is None or (before[(before > 0)] < limits.learned).any():
        return
    report_findings(
        [
            Finding(
                f"the loss is exactly 0.0 from step {int(losses.steps[at])} on",
                where=f"step {int(losses.steps[at])}",
                observed="0.0",
                expected="more than 0",
                why="No token of these batches is supervised, or an overflow is shown as zero; nothing is learned.",
                fix="Look at the supervised text with `preflight review`. "
                f"{lower(plan.rate)}{', with bf16 rather than fp16' if plan.fp16 else ''}.",
            )
        ]
    )

from typing import Any

from preflight import check, not_available, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.losses import LOSSES, not_finite


@check("RUN-101", "losses-finite", severity="required", section=5, item="No NaN/Inf: check for numerical instability")
def every_logged_loss_is_finite(run_log: Log, evidence: Evidence) -> None:
    """No logged loss or gradient norm is NaN or infinite.

    What it checks: `loss`, `eval_loss` and `train_loss` of every step in run.jsonl; of `grad_norm`, three in a row at
    the end, since fp16's loss scaler skips single steps whose gradients overflow.
    Why it matters: From the first NaN on, the weights are NaN.
    How to fix: Lower `training.learning_rate` by 2-10x; use bf16 rather than fp16.
    Evidence: the checklist's common issues: loss spikes or NaN mean that the learning rate is too high.
    """
    losses = [value for key in LOSSES for value in run_log.curve(key).values]
    if not losses:
        not_available("the run log has no losses; set training.logging_steps and train again")
    evidence(f"{len(losses)} logged losses", logged=len(run_log))
    report_findings(not_finite(run_log))

from typing import Any

from preflight import check, report_findings
from preflight.fixtures import Evidence
from preflight.flight import curve, not_finite


@check("RUN-101", "losses-finite", severity="required", section=5, item="No NaN/Inf: check for numerical instability")
def every_logged_loss_is_finite(run_log: list[dict[str, Any]], evidence: Evidence) -> None:
    """No logged loss or gradient norm is NaN or infinite.

    What it checks: `loss`, `grad_norm` and `eval_loss` of every step in run.jsonl.
    Why it matters: From the first NaN on, the weights are NaN.
    How to fix: Lower `training.learning_rate` by 2-10x; use bf16 rather than fp16.
    Evidence: the checklist's common issues: loss spikes or NaN mean that the learning rate is too high.
    """
    evidence(f"{len(curve(run_log, 'loss'))} logged losses", logged=len(run_log))
    report_findings(not_finite(run_log))

from typing import Any

from preflight import check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.losses import FEW, not_falling


@check(
    "RUN-102",
    "loss-falls",
    severity="required",
    section=5,
    item="Loss decreasing: steady decrease first epoch",
    thresholds={"min_drop": 0.02},
)
def the_training_loss_falls(run_log: Log, evidence: Evidence, limits: Any) -> None:
    """The training loss falls over the run.

    What it checks: The mean loss of the last quarter of logged steps against that of the first; in a short log, of the
    halves.
    Why it matters: A loss that doesn't fall means that nothing was learned: labels, rate or target modules are wrong.
    How to fix: Raise `training.learning_rate` by 2-5x, train longer, or add the MLP layers to `lora.target_modules`.
    Evidence: the checklist's section 5 and its common issues. Threshold: 2 %, what noise alone can do in short runs.
    """
    losses = run_log.curve("loss").points()
    if len(losses) < FEW:
        not_applicable(f"losses logged: {len(losses)}, too few to see a trend; lower training.logging_steps")
    evidence(f"{losses[0][1]:.3f} to {losses[-1][1]:.3f} in {losses[-1][0]} steps", losses=losses)
    report_findings(not_falling(run_log, min_drop=limits.min_drop))

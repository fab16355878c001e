from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.plan import Plan
from preflight.flight.trend import finite


@check(
    "RUN-111",
    "no-overfitting",
    severity="recommended",
    section=5,
    item="Loss tracking: training and validation loss stay together",
    thresholds={"max_rise": 0.02, "in_a_row": 2},
)
def the_validation_loss_does_not_rise_again(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """The validation loss doesn't rise again while the training loss falls.

    What it checks: Whether the last two evaluations are each more than 2 % above the lowest, and the second no lower
    than the first.
    Why it matters: The model learns the training rows by heart; what it knows beyond them gets worse.
    How to fix: End where the loss was lowest: fewer epochs, or `training.load_best_model_at_end: true`; more or more
    varied data; a lower rank or rate.
    Evidence: hiyouga/LLaMA-Factory#7485, huggingface/transformers#18730, tloen/alpaca-lora#502: losses that fall in
    stairs at the epochs while the validation loss rises.
    """
    held_out = finite(run_log.curve("eval_loss"))
    if len(held_out) < limits.in_a_row + 1:
        not_applicable(f"evaluations: {len(held_out)}; asked from {limits.in_a_row + 1} on")
    best = int(held_out.values.argmin())
    lowest, at = float(held_out.values[best]), int(held_out.steps[best])
    tail = held_out.values[-limits.in_a_row :]
    evidence(f"lowest {lowest:.3f} at step {at}, now {tail[-1]:.3f}", lowest=lowest, at=at, last=float(tail[-1]))
    rises = (tail > lowest * (1 + limits.max_rise)).all() and (tail[1:] >= tail[:-1]).all()
    if not rises or best >= len(held_out) - limits.in_a_row:
        return
    epochs = at / plan.epoch if plan.epoch else 0.0
    report_findings(
        [
            Finding(
                f"the validation loss rises: {lowest:.3f} at step {at}, {tail[-1]:.3f} now",
                where=f"step {int(held_out.steps[-1])}",
                observed=f"{tail[-1] / lowest - 1:+.1%}",
                expected=f"{limits.max_rise:+.0%} or less",
                why="The model learns the training rows by heart.",
                fix=f"End at step {at}: training.num_train_epochs: {epochs:.2g}, or load_best_model_at_end: true.",
            )
        ]
    )

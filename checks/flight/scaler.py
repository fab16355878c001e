from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.plan import Plan
from preflight.flight.trend import lower


@check(
    "RUN-114",
    "loss-scale-settles",
    severity="required",
    section=5,
    item="No NaN/Inf: check for numerical instability",
    thresholds={"min_scale": 1.0, "in_a_row": 20},
)
def the_loss_scaler_finds_its_scale(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """The loss scaler of fp16 finds a scale at which gradients don't overflow.

    What it checks: `loss_scale` and `skipped` in the run log: a scale below 1, or 20 steps in a row that were all
    skipped. It starts at 65536 and is halved at each overflow, so that a few skipped steps at the start are normal.
    Why it matters: A skipped step learns nothing; at a scale below 1 activations themselves overflow.
    How to fix: Use bf16 on cards that have it; else keep the model in float32, or lower the rate.
    Evidence: google-research/text-to-text-transfer-transformer#539, huggingface/transformers#10956: weights that were
    trained in bf16 exceed fp16's 65504. `torch.amp.GradScaler`: initial scale 2**16, halved at each overflow.
    """
    scales, skipped, logged = (run_log.curve(key) for key in ("loss_scale", "skipped", "loss"))
    if not len(scales):
        not_applicable("no loss scaler is at work")
    row = 0.0
    before = dict(zip(logged.steps[1:], logged.steps[:-1], strict=True))
    for step, count in reversed(skipped.points()):
        row += count
        if count < step - before.get(step, 0):
            break
    evidence(f"scale {scales.values[-1]:g}, {int(row)} steps skipped last", scale=float(scales.values[-1]), skipped=row)
    if scales.values[-1] >= limits.min_scale and row < limits.in_a_row:
        return
    report_findings(
        [
            Finding(
                f"the gradients keep overflowing: loss scale {scales.values[-1]:g}, {int(row)} steps skipped in a row",
                where=f"step {int(scales.steps[-1])}",
                observed=f"{scales.values[-1]:g}",
                expected=f"{limits.min_scale:g} or more",
                why="Skipped steps learn nothing: the values of this model don't fit into fp16.",
                fix="Set training.bf16: true on a card that has it; else model.dtype: float32. If neither helps: "
                f"{lower(plan.rate)}.",
            )
        ]
    )

from typing import Any

import numpy as np

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Curve, Log
from preflight.flight.plan import Plan


@check(
    "RUN-108",
    "weights-move",
    severity="required",
    section=5,
    item="Loss decreasing: the adapter is being trained",
    waivable=False,
    thresholds={"in_a_row": 3, "min_rate": 0.01},
)
def the_trained_weights_move(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """The trained weights change from one logged step to the next, and have gradients.

    What it checks: Whether the last three logged steps left every trained matrix as it was, at a learning rate above 1
    % of its peak and with no step skipped by a loss scaler; and whether the last three gradient norms are exactly zero.
    Why it matters: The run goes on to its end and saves an adapter that does nothing.
    How to fix: Look for code that freezes parameters or rebuilds the model after the optimizer was made; with gradient
    checkpointing set `training.gradient_checkpointing_kwargs: {use_reentrant: false}`.
    Evidence: huggingface/peft#793, unslothai/unsloth#2142: tuned models equal to their base.
    """
    count, still, norms = (
        awake(run_log, key, plan, limits) for key in ("trained_matrices", "trained_still", "grad_norm")
    )
    if max(len(still), len(norms)) < limits.in_a_row:
        not_applicable(f"asked from {limits.in_a_row} logged steps on")
    total = int(count.values[-1]) if len(count) else 0
    moved = total - int(still.values[-1]) if len(still) else 0
    evidence(f"{moved} of {total} matrices moved" if total else "gradients only", moved=moved, matrices=total)
    tail = slice(-limits.in_a_row, None)
    stands = total > 0 and bool((still.values[tail] >= count.values[tail]).all())
    no_gradient = len(norms) >= limits.in_a_row and bool((norms.values[tail] == 0).all())
    found = {f"none of {total} trained matrices moves": stands, "the gradient norm is exactly zero": no_gradient}
    step = int(max([0, *still.steps[-1:], *norms.steps[-1:]]))
    report_findings(
        Finding(
            what,
            where=f"step {step}",
            observed=f"{limits.in_a_row} logged steps in a row",
            expected="every update changes the weights",
            why="Nothing is learned; the adapter that is saved will do nothing.",
            fix="Look for code that freezes parameters, or replaces the model after the optimizer was made; with "
            "gradient checkpointing set training.gradient_checkpointing_kwargs: {use_reentrant: false}.",
        )
        for what, so in found.items()
        if so
    )


def awake(log: Log, key: str, plan: Plan, limits: Any) -> Curve:
    """The curve of a key over the logged steps that were to change something: a rate above zero, none skipped."""
    curve = log.curve(key)
    rates, skipped = log.curve("learning_rate"), log.curve("skipped")
    on = rates.steps[rates.values > limits.min_rate * plan.rate]
    off = skipped.steps[skipped.values > 0]
    kept = np.isin(curve.steps, on) & ~np.isin(curve.steps, off)
    return Curve(curve.steps[kept], curve.values[kept])


@check(
    "RUN-109",
    "all-matrices-move",
    severity="recommended",
    section=5,
    item="Loss decreasing: the adapter is being trained",
    thresholds={"after": 10, "min_rate": 0.01},
)
def every_lora_b_has_left_zero(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """Every lora_B matrix has left its zeros after ten steps.

    What it checks: `trained_zero` in the run log, the lora_B matrices that hold nothing but zeros, ten steps after the
    learning rate has left zero.
    Why it matters: B starts at zero; one that stays there has no gradient, and its layer is not adapted.
    How to fix: Take layers that the data never reaches out of `lora.target_modules`, such as a vision tower on text.
    Evidence: johnsmith0031/alpaca_lora_4bit#137; LoRA initialises B with zeros (Hu et al. 2021, section 4.1).
    """
    zero, count = (awake(run_log, key, plan, limits) for key in ("trained_zero", "trained_matrices"))
    if not plan.rank or len(zero) < 2 or zero.steps[-1] - zero.steps[0] < limits.after:
        not_applicable(f"asked {limits.after} steps after the learning rate has left zero, of adapters")
    stuck, total = int(zero.values[-1]), int(count.values[-1])
    evidence(f"{stuck} of {total} matrices are zero", zero=stuck, matrices=total)
    if stuck:
        report_findings(
            [
                Finding(
                    f"{stuck} of the lora_B matrices among {total} trained ones are still zero",
                    where=f"step {int(zero.steps[-1])}",
                    observed=str(stuck),
                    expected="0",
                    why="They have no gradient: their layers are not adapted, and cost memory for nothing.",
                    fix="Take layers that the data never reaches out of lora.target_modules; RUN-202 names them.",
                )
            ]
        )

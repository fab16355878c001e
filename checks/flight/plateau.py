from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.plan import Plan
from preflight.flight.trend import Change, change, higher, last_step, losses_of


@check(
    "RUN-110",
    "no-early-plateau",
    severity="recommended",
    section=5,
    item="Learning rate too low: loss plateaus early",
    thresholds={
        "min_drop": 0.03,
        "low_rate": 1e-4,
        "low_rate_full": 5e-6,
        "visible": 0.05,
        "min_steps": 50,
        "share": 0.25,
    },
)
def the_loss_does_not_stop_falling_early(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """A run at a low learning rate doesn't stand still.

    What it checks: After a quarter of the run, 50 steps past the warm-up at the earliest: whether the loss has fallen
    by less than 3 %, on a curve calm enough to show it, at a peak rate below 1e-4 for adapters or 5e-6 for all weights.
    Why it matters: The rest of the run will bring as little.
    How to fix: Raise `training.learning_rate` by 2-5x.
    Evidence: the checklist's common issues; paiml/aprender#2258, rates of full fine-tuning that were used for LoRA.
    """
    found = flat(run_log, plan, limits, limits.share)
    low = limits.low_rate if plan.rank else limits.low_rate_full
    evidence(f"{found.first:.3f} to {found.last:.3f} at a rate of {plan.rate:g}", first=found.first, last=found.last)
    if plan.rate >= low or found.drop >= limits.min_drop:
        return
    report_findings(
        [
            Finding(
                f"the loss stands still at a low rate: {found.first:.3f} at the start, {found.last:.3f} now",
                where=f"step {last_step(run_log)} of {plan.steps}",
                observed=found.words,
                expected=f"{-limits.min_drop:+.0%} or less by now",
                why="At this rate the rest of the run will change as little.",
                fix=f"{higher(plan.rate)}.",
            )
        ]
    )


def flat(log: Log, plan: Plan, limits: Any, share: float) -> Change:
    """How the loss has changed, once enough of the run is over to tell.

    Args:
        log: The run log.
        plan: The plan of the run.
        limits: The check's thresholds: `visible` and `min_steps` are used.
        share: Of the run that must be over.

    Raises:
        NotApplicable: it isn't, or the curve is too noisy, or its rows come in a fixed order.
    """
    asked = max(round(share * plan.steps), plan.warmup + limits.min_steps)
    if last_step(log) < asked:
        not_applicable(f"asked from step {asked} on")
    if plan.order == "sequential":
        not_applicable("rows come in a fixed order")
    found = change(losses_of(log, plan).values)
    if found is None or 2 * found.error > limits.visible * found.first:
        not_applicable("the loss is too noisy, or logged too seldom, to tell")
    return found


@check(
    "RUN-113",
    "adapts",
    severity="recommended",
    section=5,
    item="Rank too low: underfitting; wrong target modules: poor adaptation",
    thresholds={
        "min_drop": 0.05,
        "learned_nothing": 0.02,
        "low_rate": 1e-4,
        "visible": 0.05,
        "min_steps": 100,
        "share": 0.5,
    },
)
def the_adapter_has_room_to_learn(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """An adapter at a usual learning rate has learned something after half of the run.

    What it checks: Whether the loss has fallen by less than 5 % after half of the run, 100 steps past the warm-up at
    the earliest, at a rate of 1e-4 or more. Below that RUN-110 names the rate; a loss that has not fallen at all is
    RUN-102's.
    Why it matters: If not the rate, then the room to learn is too small: too few layers, or too low a rank.
    How to fix: Add the MLP layers to `lora.target_modules`; where they are in, double `lora.r` and `lora.lora_alpha`.
    Evidence: the checklist's common issues: underfitting, increase the rank; poor adaptation, add MLP layers.
    """
    if not plan.rank:
        not_applicable("all weights are trained")
    if plan.rate < limits.low_rate:
        not_applicable("the rate is low; see RUN-110")
    found = flat(run_log, plan, limits, limits.share)
    evidence(f"{found.first:.3f} to {found.last:.3f}", first=found.first, last=found.last)
    if not limits.learned_nothing <= found.drop < limits.min_drop:
        return
    fix = (
        f"Double the rank: lora.r: {2 * plan.rank}, with lora.lora_alpha doubled too."
        if plan.mlp
        else "Add the MLP layers to lora.target_modules: gate_proj, up_proj, down_proj, or all-linear."
    )
    report_findings(
        [
            Finding(
                f"the adapter learns little: {found.first:.3f} at the start, {found.last:.3f} now",
                where=f"step {last_step(run_log)} of {plan.steps}",
                observed=found.words,
                expected=f"{-limits.min_drop:+.0%} or less by now",
                why="The rate is a usual one: what is trained is too small for the task, or the base knows it already.",
                fix=fix,
            )
        ]
    )

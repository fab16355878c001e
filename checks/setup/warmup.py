import math
from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.schedule import NO_WARMUP, schedule_of

WARMS_UP = "constant_with_warmup"


@check("CFG-106", "warmup-enabled", severity="required", section=4, item="Must-have: warmup enabled")
def the_learning_rate_is_warmed_up(config: Config, train: Split, evidence: Evidence) -> None:
    """The run warms its learning rate up.

    What it checks: `training.warmup_steps` comes to at least one step, fewer than the run has, and the scheduler uses
    them. A value below 1 is a share of the run. `constant` ignores warm-up.
    Why it matters: Adam's first steps rest on no statistics; at the full rate they can throw the model off for good.
    How to fix: Set `training.warmup_steps: 0.03`, and `constant_with_warmup` in the place of `constant`.
    Evidence: the checklist's must-have; 101 of 102 published recipes warm up.
    """
    schedule = schedule_of(config, len(train.dataset))
    scheduler = str(config.training_value("lr_scheduler_type"))
    evidence(f"{schedule.warmup} of {schedule.steps} steps, {scheduler}", warmup=schedule.warmup, steps=schedule.steps)
    if 0 < schedule.warmup < schedule.steps:
        return
    given = config.training_value("warmup_steps")
    ignored = scheduler in NO_WARMUP
    advised = max(round(0.03 * schedule.steps), 1)
    wanted = f"training.warmup_steps: 0.03 (here {counted(advised, 'step')})"
    if schedule.steps < 2:
        message = f"a run of {counted(schedule.steps, 'step')} is too short to warm up"
        fix = "Train for 2 steps or more: raise num_train_epochs or max_steps, or lower the batch size."
    elif ignored and given:
        message, fix = f"lr_scheduler_type {scheduler} ignores warmup_steps", f"Set lr_scheduler_type: {WARMS_UP}."
    elif schedule.warmup:
        message = f"{schedule.warmup} warm-up steps are the whole run of {schedule.steps}"
        fix = f"Set training.warmup_steps: {advised}."
    else:
        message = "there is no warm-up"
        fix = f"Set {wanted} and lr_scheduler_type: {WARMS_UP}." if ignored else f"Set {wanted}."
    report_findings(
        [
            Finding(
                message,
                where=config.where("training.lr_scheduler_type" if ignored and given else "training.warmup_steps"),
                observed=str(given),
                expected=f"1 to {max(schedule.steps - 1, 1)} steps",
                why="The first steps at the full rate can throw the model off for good.",
                fix=fix,
            )
        ]
    )


@check(
    "CFG-107",
    "warmup-share",
    severity="recommended",
    section=4,
    item="Warmup ratio: 0.03-0.05 of total steps",
    thresholds={"low": 0.02, "high": 0.1},
)
def the_warm_up_is_a_small_share_of_the_run(config: Config, train: Split, evidence: Evidence, limits: Any) -> None:
    """Warm-up takes a small share of the run.

    What it checks: Warm-up steps over all steps is between 0.02 and 0.1, give or take one step.
    Why it matters: A shorter one warms nothing up; a longer one spends the run below its learning rate.
    How to fix: Set `training.warmup_steps` to 0.03-0.05.
    Evidence: the checklist's 0.03-0.05; 94 of 102 published recipes use 0.1, so only what lies beyond it warns.
    """
    schedule = schedule_of(config, len(train.dataset))
    if not schedule.warmup:
        not_applicable("there is no warm-up; see CFG-106")
    share = schedule.warmup / schedule.steps
    low = max(math.floor(limits.low * schedule.steps), 1)
    high = math.ceil(limits.high * schedule.steps)
    evidence(f"{share:.1%} of {schedule.steps} steps", share=share, warmup=schedule.warmup, steps=schedule.steps)
    if low <= schedule.warmup <= high:
        return
    report_findings(
        [
            Finding(
                f"warm-up takes {share:.1%} of the run",
                where=config.where("training.warmup_steps"),
                observed=f"{schedule.warmup} of {schedule.steps} steps",
                expected=f"{low} to {high} steps",
                why="It warms nothing up." if schedule.warmup < low else "Much of the run stays below its rate.",
                fix="Set training.warmup_steps: 0.03.",
            )
        ]
    )

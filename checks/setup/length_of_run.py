import math
from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.schedule import schedule_of
from preflight.strategy import Strategy

BATCH = "Hyperparameter defaults: batch_size, grad_accum"


@check("CFG-117", "any-steps", severity="required", section=4, item=BATCH, waivable=False)
def the_run_has_steps(config: Config, train: Split, evidence: Evidence) -> None:
    """The run has at least one optimizer step.

    What it checks: Optimizer steps of the whole run: rows over batch and accumulation, `dataloader_drop_last` with it.
    Why it matters: With fewer rows than a batch, and `dataloader_drop_last`, nothing is trained; transformers then
    raises, or ends at once with the adapter as it was.
    How to fix: Set `dataloader_drop_last: false`, or a smaller batch.
    Evidence: transformers' Trainer counts the batches of its dataloader, which drops the last.
    """
    schedule = schedule_of(config, len(train.dataset))
    evidence(counted(schedule.steps, "step"), steps=schedule.steps, per_epoch=schedule.steps_per_epoch)
    if schedule.steps > 0 and schedule.steps_per_epoch > 0:
        return
    rows = len(train.dataset)
    report_findings(
        [
            Finding(
                "the run has no optimizer step",
                where=config.where("training.per_device_train_batch_size"),
                observed=f"{counted(rows, 'row')}, {schedule.steps} steps",
                expected="1 step or more",
                why="Nothing is trained.",
                fix="Set training.dataloader_drop_last: false, or a smaller training.per_device_train_batch_size.",
            )
        ]
    )


@check("CFG-118", "enough-steps", severity="recommended", section=4, item=BATCH, thresholds={"min_steps": 30})
def the_run_has_enough_steps(config: Config, train: Split, strategy: Strategy, evidence: Evidence, limits: Any) -> None:
    """The run has enough optimizer steps to learn something.

    What it checks: Optimizer steps of the whole run: at least 30.
    Why it matters: Adam needs tens of steps; in a few, warm-up and decay included, an adapter hardly moves. It is what
    happens to a config of one card on eight, or to small data with a large batch.
    How to fix: Set `training.gradient_accumulation_steps` to the number in the finding, or train for more epochs.
    Evidence: the smallest datasets of the checklist, 100 rows in batches of 8 for 3 epochs, come to 39.
    """
    schedule = schedule_of(config, len(train.dataset))
    if config.training_value("max_steps") > 0:
        not_applicable("training.max_steps says how many")
    evidence(counted(schedule.steps, "step"), steps=schedule.steps)
    if schedule.steps >= limits.min_steps or schedule.steps == 0:
        return
    value = config.training_value
    rows, at_once = len(train.dataset), int(value("per_device_train_batch_size")) * strategy.world
    epochs = float(value("num_train_epochs"))
    accumulation = max(int(rows * epochs / at_once / limits.min_steps), 1)
    more = math.ceil(limits.min_steps / max(schedule.steps_per_epoch, 1))
    fits = accumulation < int(value("gradient_accumulation_steps"))
    report_findings(
        [
            Finding(
                f"the run has only {counted(schedule.steps, 'step')}",
                where=config.where("training.gradient_accumulation_steps"),
                observed=f"{counted(rows, 'row')}, {at_once * int(value('gradient_accumulation_steps'))} a step",
                expected=f"{limits.min_steps} steps or more",
                why="In so few steps an adapter hardly moves.",
                fix=f"Set training.gradient_accumulation_steps: {accumulation}."
                if fits
                else f"Set training.num_train_epochs: {more}, or a smaller batch.",
            )
        ]
    )


@check(
    "CFG-119",
    "epochs",
    severity="recommended",
    section=4,
    item="Quick reference: num_train_epochs 3",
    thresholds={"max_epochs": 10, "few_rows": 1000, "max_epochs_of_few_rows": 5},
)
def the_data_is_not_seen_too_often(config: Config, train: Split, evidence: Evidence, limits: Any) -> None:
    """The data isn't seen so often that the model learns it by heart.

    What it checks: Passes over the data: at most 10, and at most 5 over fewer than 1,000 rows.
    Why it matters: The training loss goes on falling in stairs, one an epoch, while the validation loss rises: the
    model repeats its examples.
    How to fix: Set `training.num_train_epochs: 3`, with `eval_strategy: epoch` to see where it turns.
    Evidence: the checklist has 3; published recipes have 1 to 4. huggingface/peft and fast.ai reports of stairs.
    """
    schedule = schedule_of(config, len(train.dataset))
    passes = schedule.steps / max(schedule.steps_per_epoch, 1)
    rows = len(train.examples)
    high = limits.max_epochs_of_few_rows if rows < limits.few_rows else limits.max_epochs
    evidence(f"{passes:.3g} passes over {counted(rows, 'row')}", passes=passes, rows=rows)
    if passes <= high:
        return
    key = "training.max_steps" if config.training_value("max_steps") > 0 else "training.num_train_epochs"
    wanted = f"training.max_steps: {3 * schedule.steps_per_epoch}" if "max" in key else f"{key}: 3"
    report_findings(
        [
            Finding(
                f"the data is seen {passes:.3g} times",
                where=config.where(key),
                observed=f"{passes:.3g} passes over {counted(rows, 'row')}",
                expected=f"at most {high}",
                why="The model learns its examples by heart, and the validation loss rises.",
                fix=f"Set {wanted}.",
            )
        ]
    )

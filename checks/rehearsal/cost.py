from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.rehearsal import Rehearsal
from preflight.rehearsal.cost import in_words, run_seconds, run_tokens
from preflight.schedule import schedule_of

GIB = 2**30


@check(
    "RUN-206",
    "step-cost",
    severity="advice",
    section=4,
    item="Training script: test with small subset first",
    thresholds={"max_share": 0.95},
)
def the_steps_leave_memory_to_spare(
    config: Config, rehearsal: Rehearsal, train: Split, evidence: Evidence, limits: Any
) -> None:
    """The measured steps leave some memory over; what the whole run will take is printed.

    What it checks: Peak memory of the rehearsal, its longest batch included, against the card's (without one, the
    host's). Seconds of a step on the batch of median length and on the longest one give the range for the whole run,
    evaluations and checkpoints not counted.
    Why it matters: The allocator's pieces don't fit together as well after a thousand steps as after four: a run that
    starts at the limit often ends there. And a run that takes two days should be known to take two days.
    How to fix: Halve `training.per_device_train_batch_size` and double `training.gradient_accumulation_steps`, or lower
    `training.max_length`.
    Evidence: foundation-model-stack/fms-hf-tuning#471 and tloen/alpaca-lora#385: memory ran out hours into the run.
    """
    memory = rehearsal.reached(rehearsal.memory)
    if not config.hardware.is_local:
        not_applicable("measured on this machine, which is not the one that will train")
    accumulation = config.training_value("gradient_accumulation_steps")
    size = config.training_value("per_device_train_batch_size")
    steps = schedule_of(config, len(train.dataset)).steps
    span = run_seconds(rehearsal, run_tokens(config, train))
    used = memory.resident if memory.reserved is None else memory.reserved
    low, high = map(in_words, span or (0, 0))
    took = f"{counted(steps, 'step')}: {low} to {high}" if low != high else f"{counted(steps, 'step')}: about {low}"
    evidence(
        f"{took}; peak {used / GIB:.1f} of {memory.total / GIB:.0f} GiB",
        steps=steps,
        seconds=span,
        resident_bytes=memory.resident,
        allocated_bytes=memory.allocated,
        reserved_bytes=memory.reserved,
        total_bytes=memory.total,
    )
    if used <= limits.max_share * memory.total:
        return
    report_findings(
        [
            Finding(
                f"the longest batch takes {used / memory.total:.0%} of the memory",
                where=config.where("training.per_device_train_batch_size"),
                observed=f"{used / GIB:.1f} of {memory.total / GIB:.1f} GiB",
                expected=f"{limits.max_share:.0%} or less",
                why="Memory gets fragmented over a run, and the same batch no longer fits.",
                fix=f"Set training.per_device_train_batch_size: {size // 2} and training.gradient_accumulation_steps: "
                f"{accumulation * 2}."
                if size > 1
                else f"Set training.max_length: {max(rehearsal.longest.lengths) * 3 // 4}.",
            )
        ]
    )

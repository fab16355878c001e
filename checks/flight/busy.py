from typing import Any

import numpy as np

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.plan import Plan
from preflight.flight.trend import wait_share


@check(
    "RUN-121",
    "gpu-busy",
    severity="recommended",
    section=5,
    item="GPU utilization: >80% indicates good efficiency",
    thresholds={"min_busy": 80, "min_logged": 5, "min_seconds": 60, "max_wait": 0.2, "max_memory": 0.5},
)
def the_card_is_busy(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """The card is at work for 80 % of the time, or what holds it up is named.

    What it checks: The median of `gpu_utilization`, which NVML tells once a second, after a minute. What holds it up:
    the loader, if a step waits for more than a fifth of its time; else what is offloaded to the host; else small
    batches, if they leave half of the card's memory free.
    Why it matters: A card that waits costs as much as one that works.
    How to fix: More `training.dataloader_num_workers`; more rows in `training.per_device_train_batch_size`, and as many
    times fewer `gradient_accumulation_steps`; no offloading where it isn't needed.
    Evidence: the checklist's section 5.
    """
    busy, seconds = run_log.curve("gpu_utilization"), run_log.curve("step_seconds")
    if len(busy) < limits.min_logged or _measured(run_log) < limits.min_seconds:
        not_applicable("no card, no NVML, or too short a time to tell")
    middle = float(np.median(busy.values))
    waits = wait_share(run_log)
    evidence(f"{middle:.0f} % busy, {waits:.0%} of a step waiting for data", busy=middle, waiting=waits)
    if middle >= limits.min_busy or not len(seconds):
        return
    reserved, total = run_log.curve("memory_reserved").values, run_log.curve("memory_total").values
    used = float(reserved[-1] / total[-1]) if len(reserved) and len(total) else 1.0
    if waits > limits.max_wait:
        cause, fix = "it waits for data", "Set training.dataloader_num_workers: 4."
    elif plan.offloaded:
        cause, fix = (
            "weights or optimizer lie on the host",
            f"Take the offloading out of {plan.offloaded} if memory allows.",
        )
    elif used < limits.max_memory:
        less = max(plan.accumulation // 2, 1)
        cause = f"batches are small: {used:.0%} of its memory is used"
        fix = (
            f"Set training.per_device_train_batch_size: {2 * plan.batch}"
            f"{f', gradient_accumulation_steps: {less}' if plan.accumulation > 1 else ''}."
        )
    else:
        cause, fix = (
            "its kernels are short",
            "Try attn_implementation: flash_attention_2, or training.use_liger_kernel: true.",
        )
    report_findings(
        [
            Finding(
                f"the card is busy for {middle:.0f} % of the time: {cause}",
                where=f"step {int(busy.steps[-1])}",
                observed=f"{middle:.0f} %",
                expected=f"{limits.min_busy} % or more",
                why="The run takes longer, and costs more, than it has to.",
                fix=fix,
            )
        ]
    )


def _measured(log: Log) -> float:
    """Seconds between the first and the last logged step."""
    times = log.curve("time").values
    return float(times[-1] - times[0]) if len(times) else 0.0

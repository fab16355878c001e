from typing import Any

import numpy as np

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.plan import Plan

WORKERS = "Set training.dataloader_num_workers: 4"


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
        cause, fix = "it waits for data", f"{WORKERS}."
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


def wait_share(log: Log) -> float:
    """Median share of a step that is spent waiting for data."""
    waited, seconds = log.curve("wait_seconds").values, log.curve("step_seconds").values
    return float(np.median(waited / np.maximum(seconds, 1e-9))) if len(waited) and len(waited) == len(seconds) else 0.0


def _measured(log: Log) -> float:
    """Seconds between the first and the last logged step."""
    times = log.curve("time").values
    return float(times[-1] - times[0]) if len(times) else 0.0


@check(
    "RUN-122",
    "pace-stable",
    severity="recommended",
    section=5,
    item="GPU utilization: steps don't get slower",
    thresholds={"min_share": 0.5, "min_logged": 40},
)
def steps_do_not_get_slower(run_log: Log, evidence: Evidence, limits: Any) -> None:
    """A token takes no longer late in the run than early.

    What it checks: The median of `tokens_per_second` in the last quarter of the logged steps against that of the first,
    without the first ten: half or less is slower. Longer rows alone change it little.
    Why it matters: A card that gets hot, a disk that fills, or memory that is swapped doubles what the run costs.
    How to fix: Look at the card's temperature and clocks (`nvidia-smi -q -d CLOCK,TEMPERATURE`), other programs on the
    machine, and its memory.
    Evidence: the checklist's section 5: utilisation is to stay high. Threshold: half, well beyond what row lengths do.
    """
    pace = run_log.curve("tokens_per_second").values[10:]
    if len(pace) < limits.min_logged:
        not_applicable(f"asked from {limits.min_logged + 10} logged steps on")
    quarter = len(pace) // 4
    early, late = float(np.median(pace[:quarter])), float(np.median(pace[-quarter:]))
    evidence(f"{early:,.0f} tokens/s, then {late:,.0f}", early=early, late=late)
    if late >= limits.min_share * early:
        return
    report_findings(
        [
            Finding(
                f"steps get slower: {early:,.0f} tokens a second at first, {late:,.0f} now",
                where=f"the last {quarter} logged steps",
                observed=f"{late / early:.0%}",
                expected=f"{limits.min_share:.0%} or more",
                why=f"The run will take longer; {wait_share(run_log):.0%} of a step is spent waiting for data.",
                fix="Look at the card's temperature and clocks, at other programs on this machine, and at its memory.",
            )
        ]
    )


@check(
    "RUN-123",
    "loader-keeps-up",
    severity="recommended",
    section=5,
    item="GPU utilization: data is there when it is needed",
    thresholds={"max_wait": 0.2, "min_logged": 10},
)
def the_loader_keeps_up(run_log: Log, evidence: Evidence, limits: Any) -> None:
    """Steps don't wait for their data.

    What it checks: The median share of a step that is spent waiting for its batches: a fifth or more is too much.
    Why it matters: Meanwhile the card has nothing to do.
    How to fix: Set `training.dataloader_num_workers: 4`; put the output folder on a local disk.
    Evidence: the checklist's section 5. Threshold: what would take utilisation below the checklist's 80 %.
    """
    if len(run_log.curve("wait_seconds")) < limits.min_logged:
        not_applicable(f"asked from {limits.min_logged} logged steps on")
    waits = wait_share(run_log)
    evidence(f"{waits:.0%} of a step waiting", waiting=waits)
    if waits > limits.max_wait:
        report_findings(
            [
                Finding(
                    f"{waits:.0%} of a step is spent waiting for data",
                    where=f"{len(run_log.curve('wait_seconds'))} logged steps",
                    observed=f"{waits:.0%}",
                    expected=f"{limits.max_wait:.0%} or less",
                    why="Meanwhile the card has nothing to do.",
                    fix=f"{WORKERS}, and keep training.output_dir on a local disk.",
                )
            ]
        )

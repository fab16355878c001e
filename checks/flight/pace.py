from typing import Any

import numpy as np

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.trend import wait_share


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
                    fix="Set training.dataloader_num_workers: 4, and keep training.output_dir on a local disk.",
                )
            ]
        )

from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log


@check(
    "RUN-124",
    "steps-keep-coming",
    severity="required",
    section=5,
    item="GPU utilization: the run goes on",
    thresholds={"min_seconds": 1800, "times": 20},
)
def the_run_does_not_hang(run_log: Log, evidence: Evidence, limits: Any) -> None:
    """The run doesn't hang.

    What it checks: While the run goes on, a thread looks at how long ago anything happened: a batch, a step, an
    evaluation batch, a checkpoint. Half an hour, and 20 times the longest such pause before, is a run that hangs: it is
    ended with exit code 5, and goes on from its last checkpoint when it is started again.
    Why it matters: A loader worker that waits for a lock, or a process that lost its peer, keeps cards for nothing.
    How to fix: Read in `where` what it waits for: of a loader, set `training.dataloader_num_workers: 0` or keep its
    files local; of a collective operation, look at the logs of the other processes.
    Evidence: the checklist's section 5, utilisation. NCCL's own timeout of ten minutes covers collectives only.
    Thresholds: half an hour is longer than a slow disk takes for the checkpoint of a large model.
    """
    records = [record for record in run_log.records if "stalled" in record]
    if run_log.foreign:
        not_applicable("the model was trained elsewhere, and pauses are not in its log")
    if not run_log.records:
        not_applicable("the run log is empty")
    evidence(f"{len(records)} pauses of more than {limits.min_seconds:g} s")
    steps = run_log.curve("loss").steps
    report_findings(
        Finding(
            f"nothing happened for {record['stalled']:.0f} s after step {record['step']}",
            where=str(record.get("where", "unknown")),
            observed=f"{record['stalled']:.0f} s",
            expected=f"less than {limits.min_seconds:g} s, or {limits.times} times the longest pause before",
            why="The run hangs: it keeps its cards and does nothing.",
            fix="Start it again: it goes on from there. If it waited for a loader: training.dataloader_num_workers: 0.",
        )
        for record in records
        # A run that was started again and went on is not blamed for how its earlier part ended.
        if not len(steps) or steps[-1] <= record["step"]
    )

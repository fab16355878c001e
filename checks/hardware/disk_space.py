from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.prepare import Split
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.machine import free_bytes
from preflight.model.modules import ModuleTree
from preflight.schedule import schedule_of

GIB = 2**30


@check(
    "HW-101",
    "disk-space",
    severity="required",
    section=2,
    item="Storage: checkpoints need ~1-5 GB per save",
)
def checkpoints_fit_on_the_disk(config: Config, train: Split, module_tree: ModuleTree, evidence: Evidence) -> None:
    """All checkpoints of the run fit on the disk.

    What it checks: The number of checkpoints kept at once times the size of one (trained weights in float32 and two
    optimizer moments), against the space that is free where `training.output_dir` lies, or `hardware.disk_gib` of a
    described machine.
    Why it matters: A full disk ends the run while it saves, often with the last good checkpoint half written.
    How to fix: Set `training.save_total_limit`, save less often, or write to a larger disk.
    Evidence: Adam keeps two float32 moments a parameter (Kingma and Ba 2015); the checklist's 1-5 GB a save is what
    adapters of 7B to 70B models come to.
    """
    schedule = schedule_of(config, len(train.dataset))
    each = module_tree.trainable * 12 + 16 * 2**20  # tokenizer, scheduler and trainer state are a few MB
    needed = (schedule.checkpoints + 1) * each
    described = config.hardware.disk_gib
    free = described * GIB if described else free_bytes(config.output_dir)
    evidence(
        f"{needed / GIB:.1f} GiB for {counted(schedule.checkpoints, 'checkpoint')}, {free / GIB:.0f} GiB free",
        needed_bytes=needed,
        free_bytes=free,
        checkpoints=schedule.checkpoints,
    )
    if needed <= free:
        return
    affordable = max(int(free // each) - 2, 1)
    report_findings(
        [
            Finding(
                f"{schedule.checkpoints} checkpoints of {each / GIB:.1f} GiB do not fit",
                where=config.where("training.output_dir"),
                observed=f"{free / GIB:.1f} GiB free",
                expected=f"{needed / GIB:.1f} GiB",
                why="The run ends while it saves, and may take the last checkpoint with it.",
                fix=f"Set training.save_total_limit: {affordable}, or write to a larger disk.",
            )
        ]
    )

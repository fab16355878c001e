from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.cost import sizes_of
from preflight.data.store import Split
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
    machine=True,
)
def checkpoints_fit_on_the_disk(config: Config, train: Split, module_tree: ModuleTree, evidence: Evidence) -> None:
    """All checkpoints of the run fit on the disk.

    What it checks: Checkpoints that are kept at once, each of the trained weights and the optimizer's states, the model
    saved at the end, and the merged model and GGUF file if `deployment` plans them, against the space that is free
    where `training.output_dir` lies, or `hardware.disk_gib` of a described machine.
    Why it matters: A full disk ends the run while it saves, often with the last good checkpoint half written.
    How to fix: Set `training.save_total_limit`, save less often, or write to a larger disk.
    Evidence: Adam keeps two moments a parameter (Kingma and Ba 2015); the checklist's 1-5 GB a save is what adapters of
    7B to 70B models come to. modelscope/ms-swift#6392, mlfoundations/open_lm#154.
    """
    described = config.hardware.disk_gib
    if described is None and not config.hardware.is_local:
        not_applicable("hardware describes another machine and says nothing of its disk; set hardware.disk_gib")
    schedule = schedule_of(config, len(train.dataset))
    sizes = sizes_of(config, module_tree.parameters, module_tree.trainable)
    each, after = sizes.checkpoint, sizes.weights + sizes.merged + sizes.exported
    needed = schedule.checkpoints * each + after
    free = int(described * GIB) if described else free_bytes(config.output_dir)
    evidence(
        f"{needed / GIB:.1f} GiB for {counted(schedule.checkpoints, 'checkpoint')}, {free / GIB:.0f} GiB free",
        needed_bytes=needed,
        free_bytes=free,
        checkpoints=schedule.checkpoints,
        checkpoint_bytes=each,
        merged_bytes=sizes.merged,
        exported_bytes=sizes.exported,
    )
    if needed <= free:
        return
    # Of a limit, one more is written before the oldest goes; then comes the model itself.
    affordable = (free - after) // each - 1
    elsewhere = f"free {needed / GIB:.2g} GiB, or write to a larger disk"
    report_findings(
        [
            Finding(
                f"{counted(schedule.checkpoints, 'checkpoint')} and the model do not fit: {each / GIB:.2g} GiB each",
                where=config.where("training.output_dir" if described is None else "hardware.disk_gib"),
                observed=f"{free / GIB:.2g} GiB free",
                expected=f"{needed / GIB:.2g} GiB",
                why="The run ends while it saves, and may take the last checkpoint with it.",
                fix=f"Set training.save_total_limit: {affordable}, or {elsewhere}."
                if affordable > 0
                else f"{elsewhere[0].upper()}{elsewhere[1:]}.",
            )
        ]
    )

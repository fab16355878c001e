from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.cost import sizes_of
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.machine import free_bytes, free_files
from preflight.model.modules import ModuleTree
from preflight.model.precision import Precision
from preflight.saving import how_to_fit, in_words, saved_before, size
from preflight.schedule import schedule_of
from preflight.strategy import Strategy
from preflight.target import GIB

STORAGE = "Storage: checkpoints need ~1-5 GB per save"
FILES = 20  # of a checkpoint, each process's random state among them
NO_DISK = "hardware describes another machine and says nothing of its disk; set hardware.disk_gib"


@check("HW-101", "disk-space", severity="required", section=2, item=STORAGE, thresholds={"spare": 1.05}, machine=True)
def checkpoints_fit_on_the_disk(  # noqa: PLR0917 - everything decides it
    config: Config,
    train: Split,
    module_tree: ModuleTree,
    precision: Precision,
    strategy: Strategy,
    evidence: Evidence,
    limits: Any,
) -> None:
    """All checkpoints of the run fit on the disk.

    What it checks: Checkpoints that are kept at once, each of the trained weights, the optimizer's states and the
    tokenizer, the model saved at the end, and the merged model and GGUF file if `deployment` plans them, and 5 % more,
    against the space that is free where `training.output_dir` lies, or `hardware.disk_gib` of a described machine. On
    this machine, that there can be as many more files.
    Why it matters: A full disk ends the run while it saves, often with the last good checkpoint half written.
    How to fix: Set `training.save_total_limit`, save less often, or write to a larger disk.
    Evidence: the trainer's own checkpoints are as large, to 2 %. modelscope/ms-swift#6392, mlfoundations/open_lm#154.
    """
    described = config.hardware.disk_gib
    if described is None and not config.hardware.is_local:
        not_applicable(NO_DISK)
    kept = schedule_of(config, len(train.dataset)).checkpoints
    sizes = sizes_of(config, module_tree, precision, strategy)
    needed = int(limits.spare * (kept * sizes.checkpoint + sizes.after))
    free = int(described * GIB) if described else free_bytes(config.output_dir) + saved_before(config.output_dir)
    files = None if described else free_files(config.output_dir)
    evidence(
        f"{size(needed)} for {counted(kept, 'checkpoint')}, {size(free)} free",
        needed_bytes=needed,
        free_bytes=free,
        free_files=files,
        checkpoints=kept,
        checkpoint_bytes=sizes.checkpoint,
        model_bytes=sizes.model,
        merged_bytes=sizes.merged,
        exported_bytes=sizes.exported,
    )
    where = config.where("training.output_dir" if described is None else "hardware.disk_gib")
    findings = []
    if needed > free:
        findings.append(
            Finding(
                f"what the run saves does not fit: {in_words(sizes, kept)}",
                where=where,
                observed=f"{size(free)} free",
                expected=size(needed),
                why="The run ends while it saves, and may take the last checkpoint with it.",
                fix=how_to_fit(sizes, needed, int(free / limits.spare)),
            )
        )
    if files is not None and files < (kept + 2) * FILES:
        findings.append(
            Finding(
                "the file system can hold hardly any more files",
                where=where,
                observed=counted(files, "free inode"),
                expected=f"{(kept + 2) * FILES} or more",
                why='A save ends with "No space left on device", however much space there is.',
                fix="Remove small files there (`df -i` shows how many there are), or write to another disk.",
            )
        )
    report_findings(findings)

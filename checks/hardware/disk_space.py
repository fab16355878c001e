import contextlib
import json
from pathlib import Path
from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.cost import WIDTH, Sizes, sizes_of
from preflight.data.store import Prepared, Split
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.machine import free_bytes, free_files
from preflight.model.modules import ModuleTree
from preflight.model.precision import Precision
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


@check("HW-120", "downloads-fit", severity="recommended", section=2, item=STORAGE)
def what_is_fetched_fits_on_the_disk_as_well(  # noqa: PLR0917 - everything decides it
    config: Config,
    prepared: Prepared,
    train: Split,
    module_tree: ModuleTree,
    precision: Precision,
    strategy: Strategy,
    evidence: Evidence,
) -> None:
    """On a described machine, the base model and the prepared data fit beside what the run saves.

    What it checks: What HW-101 counts, with the base model, if it is one of the hub and so will be downloaded there,
    and the prepared data, against `hardware.disk_gib`. On this machine both are on the disk already.
    Why it matters: Base models are the largest files of a run. Where the hub's cache shares the disk with the output,
    the download leaves too little for checkpoints.
    How to fix: Take a larger disk, or point `HF_HOME` to another one and waive this.
    Evidence: the hub's files have two bytes a parameter in 16 bits. modelscope/ms-swift#6392.
    """
    if config.hardware.is_local:
        not_applicable("model and prepared data are on this machine's disk")
    if config.hardware.disk_gib is None:
        not_applicable(NO_DISK)
    sizes = sizes_of(config, module_tree, precision, strategy)
    saved = schedule_of(config, len(train.dataset)).checkpoints * sizes.checkpoint + sizes.after
    fetched = not config.resolve(config.model.name_or_path).is_dir()
    model = module_tree.parameters * WIDTH.get(precision.stored, 4) if fetched else 0
    data = sum(path.stat().st_size for path in prepared.folder.rglob("*") if path.is_file())
    needed, free = saved + model + data, int(config.hardware.disk_gib * GIB)
    evidence(
        f"{size(needed)} with model and data, {size(free)} free",
        needed_bytes=needed,
        model_bytes=model,
        prepared_bytes=data,
        free_bytes=free,
    )
    if needed <= free or saved > free:  # which HW-101 says
        return
    report_findings(
        [
            Finding(
                f"checkpoints fit, but not beside {size(model)} of base model and {size(data)} of prepared data",
                where=config.where("hardware.disk_gib"),
                observed=f"{size(free)} free",
                expected=size(needed),
                why="The download leaves too little for checkpoints.",
                fix=f"Free {size(needed)}, or point HF_HOME to another disk and waive this.",
            )
        ]
    )


def saved_before(output: Path) -> int:
    """Bytes of the checkpoints that a run which was broken off goes on from; those of a finished one are set aside."""
    found = 0
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if json.loads((output / "run.json").read_bytes()).get("finished") is False:  # written by the trainer
            for file in output.glob("checkpoint-*/**/*"):
                found += file.stat().st_size
    return found


def in_words(sizes: Sizes, kept: int) -> str:
    """What is saved, part by part."""
    parts = {"the model": sizes.model, "the merged model": sizes.merged, "its GGUF file": sizes.exported}
    each = f"{counted(kept, 'checkpoint')} of {size(sizes.checkpoint)}"
    return ", ".join([each, *(f"{name} {size(part)}" for name, part in parts.items() if part)])


def how_to_fit(sizes: Sizes, needed: int, free: int) -> str:
    """How many checkpoints fit. Of a limit, one more is written before the oldest goes; then comes the model."""
    affordable = (free - sizes.after) // sizes.checkpoint - 1
    elsewhere = f"free {size(needed)}, or write to a larger disk"
    if affordable > 0:
        return f"Set training.save_total_limit: {affordable}, or {elsewhere}."
    return f"{elsewhere[0].upper()}{elsewhere[1:]}."


def size(count: int) -> str:
    """`3.2 GiB`; MiB below one."""
    return f"{count / GIB:.3g} GiB" if count >= GIB else f"{count / 2**20:.3g} MiB"

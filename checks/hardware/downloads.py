from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.cost import WIDTH, sizes_of
from preflight.data.store import Prepared, Split
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree
from preflight.model.precision import Precision
from preflight.saving import size
from preflight.schedule import schedule_of
from preflight.strategy import Strategy
from preflight.target import GIB

STORAGE = "Storage: checkpoints need ~1-5 GB per save"
NO_DISK = "hardware describes another machine and says nothing of its disk; set hardware.disk_gib"


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

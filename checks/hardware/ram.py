from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.cost import host_bytes
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree
from preflight.model.precision import Precision
from preflight.strategy import Strategy
from preflight.target import GIB, Target


@check("HW-121", "host-memory", severity="recommended", section=2, item="VRAM available: sufficient for chosen method")
def the_host_has_memory_to_load_and_merge(  # noqa: PLR0917 - everything decides it
    config: Config,
    module_tree: ModuleTree,
    precision: Precision,
    target: Target,
    strategy: Strategy,
    evidence: Evidence,
) -> None:
    """The host has memory to load the model for each process, and to merge it afterwards.

    What it checks: The model in `model.dtype`, for each process of the machine (one loads for all under ZeRO-3 and
    FSDP), and once where `deployment` merges, against the host's memory. Loading counts only where weights have to be
    converted: in the type that they are saved in, transformers maps them from the file, and with a device map or
    quantization they go to the card one by one.
    Why it matters: A host with less than that swaps, or its kernel kills the process without a word.
    How to fix: Load in the type of the checkpoint (`model.dtype: auto`), start fewer processes, or take a host with the
    memory in the finding.
    Evidence: measured with transformers 5.24 and peft 0.21: loading takes no memory in the checkpoint's type and the
    whole model in another, merging takes the whole model.
    """
    if target.ram is None:
        not_applicable("hardware describes another machine and says nothing of its memory")
    loading, merging = host_bytes(config, module_tree, precision, strategy, cards=bool(target.gpus))
    needed = max(loading, merging)
    evidence(f"{needed / GIB:.1f} of {target.ram / GIB:.0f} GiB", loading=loading, merging=merging, ram=target.ram)
    if needed <= target.ram:
        return
    if loading >= merging:
        message = f"to load the model in {precision.weights} takes {needed / GIB:.1f} GiB of the host's memory"
        message += f", in {strategy.world} processes" if strategy.world > 1 else ""
        mapped = f"Set model.dtype: {precision.stored}, or take" if precision.weights != precision.stored else "Take"
        key, fix = "model.dtype", f"{mapped} a host with {needed / GIB:.1f} GiB."
    else:
        message = f"to merge the adapter takes {needed / GIB:.1f} GiB of the host's memory"
        key, fix = "deployment", f"Merge on a host with {needed / GIB:.1f} GiB, or set deployment.merge: false."
    report_findings(
        [
            Finding(
                message,
                where=config.where(key),
                observed=f"{target.ram / GIB:.1f} GiB",
                expected=f"{needed / GIB:.1f} GiB",
                why="The host swaps, or its kernel kills the process without a word.",
                fix=fix,
            )
        ]
    )

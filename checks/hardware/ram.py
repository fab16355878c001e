from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.cost import WIDTH, dtype_of
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree
from preflight.strategy import Strategy
from preflight.target import GIB, Target


@check("HW-121", "host-memory", severity="recommended", section=2, item="Storage: checkpoints need ~1-5 GB per save")
def the_host_has_memory_to_load_and_merge(
    config: Config, module_tree: ModuleTree, target: Target, strategy: Strategy, evidence: Evidence
) -> None:
    """The host has memory to load the model for each process, and to merge it afterwards.

    What it checks: Parameters times the width of `model.dtype`, for each process of the machine (one under ZeRO-3 and
    FSDP loads for all), and the 16-bit model once more if `deployment` merges, against the host's memory.
    Why it matters: Without a device map, weights pass through the host's memory on their way to the card. A host with
    less than that swaps, or its kernel kills the process without a word.
    How to fix: Load in 16 bits with `model.dtype: bfloat16`, start fewer processes, or take a host with the memory in
    the finding.
    Evidence: weights are parameters times bytes; transformers loads safetensors to the CPU unless a device is named.
    """
    if target.ram is None:
        not_applicable("hardware describes another machine and says nothing of its memory")
    model = module_tree.parameters * WIDTH.get(dtype_of(config), 4)
    quantized = config.quantization is not None and target.gpus  # straight to the card, a shard at a time
    loaders = 1 if strategy.kind in ("zero3", "fsdp") else strategy.world
    loading = 0 if quantized else model * loaders
    merging = module_tree.parameters * 2 if config.lora is not None and config.deployment.merged else 0
    needed = max(loading, merging)
    evidence(f"{needed / GIB:.1f} of {target.ram / GIB:.0f} GiB", loading=loading, merging=merging, ram=target.ram)
    if needed <= target.ram:
        return
    what = "load the model" if loading >= merging else "merge the adapter"
    report_findings(
        [
            Finding(
                f"to {what} takes {needed / GIB:.0f} GiB of the host's memory",
                where=config.where("model.dtype" if loading >= merging else "deployment"),
                observed=f"{target.ram / GIB:.0f} GiB",
                expected=f"{needed / GIB:.0f} GiB",
                why="The host swaps, or its kernel kills the process without a word.",
                fix=f"Take a host with {needed / GIB:.0f} GiB"
                + (", or set model.dtype: bfloat16." if dtype_of(config) == "float32" and loading >= merging else "."),
            )
        ]
    )

from collections import defaultdict
from collections.abc import Iterable, Mapping

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model.layers import Layer
from preflight.model.modules import ModuleTree


@check(
    "CFG-140",
    "targets-in-all-layers",
    severity="recommended",
    section=3,
    item="Target modules selection",
)
def the_adapter_is_in_all_layers_of_a_kind(config: Config, module_tree: ModuleTree, evidence: Evidence) -> None:
    """Where one layer has an adapter, so have the other layers that have the same module.

    What it checks: The adapter is attached to the model's own module tree, and modules that differ in the number of
    their layer alone are counted: of those with an adapter against all. What `lora.layers_to_transform` or
    `lora.exclude_modules` leave out is meant; a hybrid model, which has some modules in some layers only, is no fault.
    Why it matters: A regular expression or a name with a number in it is easily meant for all layers and hits a few.
    The run trains, and learns a fraction of what it could.
    How to fix: Name the module without its number, or say `lora.layers_to_transform` if a few layers are meant.
    Evidence: axolotl-ai-cloud/axolotl#2735 and hiyouga/LlamaFactory#10663 (patterns that no longer fit the names).
    """
    adapted = module_tree.adapted
    if config.lora_value("layers_to_transform") is None and config.lora_value("exclude_modules") is None:
        partial = partly_adapted(module_tree.layers)
    else:
        partial = {}
    share = module_tree.trainable / module_tree.parameters
    evidence(f"{counted_names(adapted)}; {share:.2%} trainable", modules=names(adapted), partial=partial)
    report_findings(
        Finding(
            f"{pattern} has an adapter in {some} of {all_} layers",
            where=config.where("lora.target_modules"),
            observed=str(some),
            expected=str(all_),
            why="The other layers stay as they are.",
            fix=f"Name it {pattern.rpartition('.')[2]}; for some layers only, list them in lora.layers_to_transform.",
        )
        for pattern, (some, all_) in partial.items()
    )


def partly_adapted(layers: Iterable[Layer]) -> dict[str, tuple[int, int]]:
    """Names with a star for the number of the layer, of which some have an adapter: how many have, and there are."""
    found: Mapping[str, list[bool]] = defaultdict(list)
    for layer in layers:
        found[layer.pattern].append(layer.adapted)
    return {pattern: (sum(have), len(have)) for pattern, have in found.items() if 0 < sum(have) < len(have)}


def names(layers: Iterable[Layer]) -> dict[str, int]:
    """How many layers have each last part of a name."""
    found: dict[str, int] = defaultdict(int)
    for layer in layers:
        found[layer.leaf] += 1
    return dict(found)


def counted_names(layers: Iterable[Layer]) -> str:
    """`q_proj x24, v_proj x24`."""
    return ", ".join(f"{name} x{count}" for name, count in names(layers).items())

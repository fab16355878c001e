import re
from types import SimpleNamespace

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.findings import places
from preflight.fixtures import Evidence
from preflight.model.layers import Layer
from preflight.model.modules import ModuleTree

GIB = 2**30
HALF = 2  # bytes of a weight that isn't quantized


@check(
    "CFG-151",
    "most-is-quantized",
    severity="recommended",
    section=3,
    item="Method selection: QLoRA",
    thresholds={"max_share": 0.2},
)
def quantization_reaches_most_of_the_model(
    config: Config, module_tree: ModuleTree, evidence: Evidence, limits: SimpleNamespace
) -> None:
    """Quantization takes most of the model's weights, and skips what it was told to skip.

    What it checks: Parameters of linear layers and experts that bitsandbytes quantizes, against all of them but the
    output layer; and that each entry of `quantization.llm_int8_skip_modules` matches a module.
    Why it matters: Experts that transformers keeps as one parameter stay in 16 bits, and so does most of a mixture of
    experts: QLoRA then needs nearly the memory of LoRA. A skip that matches nothing leaves a layer quantized that was
    to be spared.
    How to fix: Plan with the memory of 16-bit weights, or take a dense model. Correct the entry of the list.
    Evidence: transformers 5.24 (`replace_with_bnb_linear`) replaces layers whose class is torch's Linear or Conv1D
    itself, and so leaves Falcon's as they are.
    Thresholds: `max_share` of the weights that may stay in 16 bits.
    """
    skip = _skipped(config) or []
    kinds = ("Linear", "Conv1D", "Parameter")
    inner = [layer for layer in module_tree.layers if layer.role != "head" and layer.kind in kinds]
    left = [layer for layer in inner if not layer.plain or any(_skips(entry, layer.name) for entry in skip)]
    rest, total = (sum(layer.size for layer in layers) for layers in (left, inner))
    share = rest / max(total, 1)
    evidence(f"{1 - share:.0%} of the layers' weights are quantized", share=share, parameters=rest)
    modules, _ = module_tree.names
    findings = [
        Finding(
            f"quantization.llm_int8_skip_modules has {entry}, which matches no module",
            where=config.where("quantization.llm_int8_skip_modules"),
            observed=entry,
            why="The layer that was to be spared is quantized.",
            fix=f"Correct {entry}, or remove it.",
        )
        for entry in skip
        if not any(_skips(entry, name) for name in modules)
    ]
    if share > limits.max_share:
        findings.append(
            Finding(
                f"{share:.0%} of the weights stay in 16 bits: {_named(left)}",
                where=config.where("quantization"),
                observed=f"{rest * HALF / GIB:.1f} GiB",
                expected=f"{limits.max_share:.0%} or less",
                why="bitsandbytes quantizes plain linear layers; these are none to it.",
                fix="Plan with their memory in 16 bits, or use LoRA without quantization or a dense model.",
            )
        )
    report_findings(findings)


@check("CFG-158", "head-not-quantized", severity="required", section=3, item="Method selection: QLoRA")
def the_output_layer_is_not_quantized(config: Config, module_tree: ModuleTree, evidence: Evidence) -> None:
    """The output layer is left out of quantization.

    What it checks: `quantization.llm_int8_skip_modules`, if it is given, holds the output layer.
    Why it matters: The list takes the place of transformers' own, which spares the output layer. TRL multiplies by that
    layer's weight itself; a quantized one has another shape, and the first step fails.
    How to fix: Add the output layer to the list.
    Evidence: transformers 5.24 (`get_modules_to_not_convert`) and TRL 1.16 (`add_fused_lm_head`); such a run ends with
    "mat1 and mat2 shapes cannot be multiplied".
    """
    skip = _skipped(config)
    head = next((layer.name for layer in module_tree.layers if layer.role == "head"), None)
    if head is None:
        not_applicable("the model has no output layer")
    spared = skip is None or any(_skips(entry, head) for entry in skip)
    evidence(f"{head} {'stays as it is' if spared else 'would be quantized'}", head=head, skip=skip)
    if skip is not None and not spared:
        finding = Finding(
            f"quantization.llm_int8_skip_modules leaves {head} to be quantized",
            where=config.where("quantization.llm_int8_skip_modules"),
            observed=", ".join(skip) or "[]",
            expected=f"{head} among them",
            why="TRL multiplies by its weight itself; the first step fails.",
            fix=f"Set quantization.llm_int8_skip_modules: [{', '.join([*skip, head])}].",
        )
        report_findings([finding])


def _skipped(config: Config) -> list[str] | None:
    """The modules that the config spares from quantization; None if it leaves that to transformers."""
    if config.quantization is None or not (
        config.quantization_value("load_in_4bit") or config.quantization_value("load_in_8bit")
    ):
        not_applicable("no quantization")
    found: list[str] | None = config.quantization_value("llm_int8_skip_modules")
    return found


def _skips(entry: str, name: str) -> bool:
    """transformers' own rule (`should_convert_module`)."""
    try:
        return name.endswith(entry) or re.match(rf"(?:{entry})(?:(?<=\.)|(?=\.|$))", name) is not None
    except re.error:
        return False


def _named(layers: list[Layer]) -> str:
    names = dict.fromkeys(f"{layer.role}s" if layer.kind == "Parameter" else layer.leaf for layer in layers)
    return places(list(names), 4)

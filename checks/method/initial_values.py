from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence

# What each kind of initial value needs that a run from a config does not have.
PREPARED = {
    "corda": "peft computes it from activations that preprocess_corda gathers before, and stops without them.",
    "loftq": "peft quantizes the 16-bit weights itself.",
}
SIXTEEN_BIT = ("pissa", "mica", "orthogonal", "loftq", "corda")
# What peft falls back on in silence, and what it would have needed.
SILENT = {"eva": "initialize_lora_eva_weights with batches of data", "lora_ga": "preprocess_loraga with gradients"}
ITEM = "Method selection"


@check("CFG-152", "initial-values-possible", severity="required", section=3, item=ITEM)
def the_adapter_can_be_initialised(config: Config, evidence: Evidence) -> None:
    """`lora.init_lora_weights` is possible with this model and this run.

    What it checks: PiSSA, MiCA, orthogonal, LoftQ and CorDA values with a quantized model; CorDA, which needs a pass
    over data that the run does not make.
    Why it matters: The run stops when the adapter is attached, after the weights have been loaded.
    How to fix: Set `lora.init_lora_weights: true`; with a quantized model, `olora` is possible too.
    Evidence: peft 0.21 raises these errors (`pissa_init`, `mica_init`, `orthogonal_init`, `corda_init`, `loftq_init`).
    """
    chosen = _chosen(config)
    quantized = config.quantization is not None
    evidence(f"{chosen}, {'quantized' if quantized else 'not quantized'}", init=chosen, quantized=quantized)
    kind = chosen.partition("_niter_")[0]
    impossible = kind == "corda" or (quantized and kind in SIXTEEN_BIT)
    if impossible:
        finding = Finding(
            f"an adapter can't be initialised with {chosen} here",
            where=config.where("lora.init_lora_weights"),
            observed=chosen,
            expected="true, gaussian or olora" if quantized else "true",
            why=PREPARED.get(kind, "peft needs the 16-bit weights for it, and the model is quantized."),
            fix="Set lora.init_lora_weights: true"
            + (", or remove quantization." if quantized and kind != "corda" else "."),
        )
        report_findings([finding])


@check("CFG-153", "initial-values-used", severity="recommended", section=3, item=ITEM)
def the_initial_values_are_the_ones_asked_for(config: Config, evidence: Evidence) -> None:
    """`lora.init_lora_weights` is not one that peft replaces by plain values in silence.

    What it checks: EVA and LoRA-GA, which need a pass over data between attaching the adapter and training; the trainer
    makes none.
    Why it matters: The run is plain LoRA under another name, and whoever compares methods compares nothing.
    How to fix: Set `lora.init_lora_weights: true`, or a kind that needs the weights alone, such as `pissa` or `olora`.
    Evidence: peft 0.21 (`lora_ga_init` falls back without gradients; EVA leaves zero and random matrices).
    """
    chosen = _chosen(config)
    evidence(chosen, init=chosen)
    if chosen in SILENT:
        finding = Finding(
            f"{chosen} would be plain LoRA: peft initialises it as usual",
            where=config.where("lora.init_lora_weights"),
            observed=chosen,
            expected="true, pissa or olora",
            why=f"It needs {SILENT[chosen]}, which the trainer does not run.",
            fix="Set lora.init_lora_weights: true, or pissa or olora.",
        )
        report_findings([finding])


def _chosen(config: Config) -> str:
    if config.lora is None:
        not_applicable("full fine-tuning: there is no adapter")
    chosen = config.lora_value("init_lora_weights")
    if not isinstance(chosen, str):
        not_applicable("peft's own initial values")
    return chosen.lower()

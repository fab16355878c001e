from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model.precision import Precision


@check("CFG-163", "compute-dtype", severity="recommended", section=4, item="Mixed precision: FP16 or BF16 enabled")
def four_bit_layers_compute_in_the_type_of_the_run(config: Config, precision: Precision, evidence: Evidence) -> None:
    """Quantized layers compute in the type that the rest of the run computes in.

    What it checks: `quantization.bnb_4bit_compute_dtype`, whose default is float32, against `training.bf16` and
    `training.fp16`.
    Why it matters: Left at float32, every quantized layer multiplies in float32: a run several times slower. Another
    half type than autocast's costs a conversion at each layer, and some stacks stop over it.
    How to fix: Set `quantization.bnb_4bit_compute_dtype` to the type in the finding.
    Evidence: bitsandbytes warns about it on the first step; bitsandbytes-foundation/bitsandbytes#1515.
    """
    if precision.compute is None or config.quantization is None or not config.quantization_value("load_in_4bit"):
        not_applicable("nothing is quantized to 4 bits")
    wanted = precision.amp or (precision.weights if precision.weights != "float32" else None)
    evidence(f"{precision.compute}, the run {wanted or 'float32'}", compute=precision.compute, run=wanted)
    if wanted is None or precision.compute == wanted:
        return
    given = "bnb_4bit_compute_dtype" in config.quantization
    report_findings(
        [
            Finding(
                f"4-bit layers compute in {precision.compute}{'' if given else ' (the default)'}, the run in {wanted}",
                where=config.where("quantization.bnb_4bit_compute_dtype"),
                observed=precision.compute,
                expected=wanted,
                why="Each step takes several times as long." if precision.compute == "float32" else "Types clash.",
                fix=f"Set quantization.bnb_4bit_compute_dtype: {wanted}.",
            )
        ]
    )

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model.files import model_config
from preflight.model.precision import Precision
from preflight.target import Target

# Their activations leave float16's range (65504): the loss turns NaN.
LARGE = ("gemma", "t5", "mt5", "umt5", "longt5")


@check("CFG-160", "mixed-precision", severity="recommended", section=4, item="Mixed precision: FP16 or BF16 enabled")
def the_run_computes_in_half_precision(
    config: Config, precision: Precision, target: Target, evidence: Evidence
) -> None:
    """A run on a card computes in 16 bits.

    What it checks: `training.bf16` (TRL's default) or `training.fp16` is on, or the weights are in 16 bits anyway.
    Why it matters: In float32 a step takes twice the memory for activations and several times as long.
    How to fix: Set `training.bf16: true`, or `training.fp16: true` on a card before Ampere.
    Evidence: the checklist's code checks; NVIDIA's data sheets give cards since Volta 8 to 16 times the throughput in
    16 bits.
    """
    if not target.gpus:
        not_applicable("training is on the CPU")
    evidence(f"autocast {precision.amp or 'off'}, weights {precision.weights}", amp=precision.amp)
    if precision.amp or precision.weights != "float32":
        return
    old = any(gpu.bf16 is False for gpu in target.gpus)
    report_findings(
        [
            Finding(
                "the run computes in float32",
                where=config.where("training.bf16"),
                observed="neither bf16 nor fp16, and weights in float32",
                expected="mixed precision",
                why="It takes twice the memory for activations, and several times as long.",
                fix=f"Set training.{'fp16' if old else 'bf16'}: true.",
            )
        ]
    )


@check("CFG-161", "fp16-on-bf16-model", severity="recommended", section=4, item="Mixed precision: FP16 or BF16 enabled")
def a_model_trained_in_bfloat16_is_not_tuned_in_float16(
    config: Config, precision: Precision, target: Target, evidence: Evidence
) -> None:
    """A model whose weights are in bfloat16 is not tuned in float16.

    What it checks: `training.fp16` and `model.dtype: float16` against the `dtype` in the model's `config.json`.
    Why it matters: Activations that bfloat16 held leave float16's range of 65504: the loss turns NaN or inf, some on
    the first batch, some after thousands of steps. Gemma and T5 are known for it.
    How to fix: Use `training.bf16: true` on a card since Ampere. On an older one a rehearsal shows whether this model
    stays in range; then waive this.
    Evidence: huggingface/transformers#10956, alexa/massive#26, Lightning-AI/lit-llama#294.
    """
    half = precision.amp == "float16" or precision.weights == "float16"
    if not half:
        not_applicable("nothing is in float16")
    family = str(model_config(config).get("model_type"))
    evidence(f"{family}, stored in {precision.stored}", stored=precision.stored, family=family)
    if precision.stored != "bfloat16":
        return
    old = any(gpu.bf16 is False for gpu in target.gpus)
    known = family.startswith(LARGE)
    report_findings(
        [
            Finding(
                f"a model trained in bfloat16 ({family}) is tuned in float16",
                where=config.where("training.fp16" if precision.amp == "float16" else "model.dtype"),
                observed="float16",
                expected="bfloat16",
                why=f"Activations may leave float16's range{', as this family is known to' if known else ''}: NaN.",
                fix="Set model.dtype: float32 with fp16, and rehearse." if old else "Set training.bf16: true, no fp16.",
            )
        ]
    )


@check("CFG-162", "fp16-weights-trained", severity="required", section=4, item="Mixed precision: FP16 or BF16 enabled")
def no_trained_weight_is_in_float16_under_fp16(config: Config, precision: Precision, evidence: Evidence) -> None:
    """With `training.fp16`, no trained weight is itself in float16.

    What it checks: The type of the weights against `training.fp16`, for full fine-tuning and for what
    `lora.modules_to_save` copies. Adapters are put into float32 by peft.
    Why it matters: The gradient scaler of fp16 needs weights in float32; the first optimizer step stops with
    "Attempting to unscale FP16 gradients".
    How to fix: Set `model.dtype: float32`, or train in bfloat16.
    Evidence: huggingface/transformers#30559, haotian-liu/LLaVA#363.
    """
    if precision.amp != "float16":
        not_applicable("training.fp16 is off")
    whole = config.lora is None
    copied = not whole and bool(config.lora_value("modules_to_save"))
    kept = not whole and config.lora is not None and config.lora.get("autocast_adapter_dtype") is False
    evidence(f"weights in {precision.weights}, {'all' if whole else 'an adapter'} trained", weights=precision.weights)
    if precision.weights != "float16" or not (whole or copied or kept):
        return
    report_findings(
        [
            Finding(
                "trained weights are in float16, under fp16",
                where=config.where("model.dtype"),
                observed="all weights" if whole else f"lora.modules_to_save: {config.lora_value('modules_to_save')}",
                expected="float32",
                why="The gradient scaler stops the run at its first optimizer step.",
                fix="Set model.dtype: float32, or training.bf16: true and model.dtype: bfloat16.",
            )
        ]
    )

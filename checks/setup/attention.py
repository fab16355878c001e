from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model.precision import Precision


@check("CFG-164", "attention-backend", severity="required", section=4, item="Mixed precision: FP16 or BF16 enabled")
def the_attention_backend_suits_the_model(config: Config, precision: Precision, evidence: Evidence) -> None:
    """The attention implementation that the config names works with this model and its types.

    What it checks: transformers is asked, on the meta device, to build the model with `model.attn_implementation`.
    FlashAttention, which computes in 16 bits only, is held against the types of the run.
    Why it matters: transformers refuses a backend that the architecture can't use (Gemma 2's soft-capping and sdpa),
    and FlashAttention stops at the first step if queries come in float32.
    How to fix: Use the backend, or the type, in the finding.
    Evidence: huggingface/transformers#32390 (Gemma 2), huggingface/transformers#26066 and Dao-AILab/flash-attention#676
    (float32).
    """
    asked = config.model.attn_implementation
    if asked is None:
        not_applicable("transformers chooses the backend")
    from preflight.model.attention import refusal

    problem = refusal(config, asked)
    full = asked.startswith("flash_attention") and precision.amp is None and precision.weights == "float32"
    evidence(asked, attention=asked, problem=problem)
    where = config.where("model.attn_implementation")
    if problem:
        report_findings(
            [
                Finding(
                    f"this model can't use {asked}: {problem}",
                    where=where,
                    observed=asked,
                    why="The run stops when the model is loaded.",
                    fix=f"Set model.attn_implementation: {'eager' if asked == 'sdpa' else 'sdpa'}, or remove the line.",
                )
            ]
        )
    if full:
        report_findings(
            [
                Finding(
                    f"{asked} gets float32",
                    where=where,
                    observed="weights in float32, and neither bf16 nor fp16",
                    expected="16 bits",
                    why="FlashAttention computes in float16 and bfloat16 only: the first step stops.",
                    fix="Set training.bf16: true, or model.attn_implementation: sdpa.",
                )
            ]
        )

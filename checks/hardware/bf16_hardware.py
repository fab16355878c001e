from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model.precision import Precision
from preflight.target import Target


@check("HW-130", "bf16-hardware", severity="required", section=2, item="VRAM available: sufficient for chosen method")
def the_cards_compute_in_bfloat16_if_the_run_does(
    config: Config, precision: Precision, target: Target, evidence: Evidence
) -> None:
    """Every card computes in bfloat16, if the run does.

    What it checks: `training.bf16` (TRL's default), `quantization.bnb_4bit_compute_dtype` and `training.tf32` against
    the compute capability of the cards: bfloat16 and TF32 need 8.0. `torch.cuda.is_bf16_supported()` is not asked: it
    says yes where bfloat16 is emulated.
    Why it matters: transformers stops on some of these cards, and on others the run goes on in emulation, several times
    slower.
    How to fix: Use float16: `training.bf16: false`, `training.fp16: true`, `bnb_4bit_compute_dtype: float16`.
    Evidence: NVIDIA's table of compute capabilities: T4 and RTX 20 are 7.5, V100 7.0. It stopped runs in
    tatsu-lab/stanford_alpaca#133 and lm-sys/FastChat#399; emulation was slow in unslothai/unsloth#211.
    """
    wanted = {
        "training.bf16": precision.amp == "bfloat16",
        "quantization.bnb_4bit_compute_dtype": precision.compute == "bfloat16",
        "training.tf32": bool(config.training_value("tf32")),
    }
    keys = [key for key, on in wanted.items() if on]
    if not keys or not target.gpus:
        not_applicable("training is on the CPU" if not target.gpus else "nothing asks for bfloat16")
    old = sorted({gpu.name for gpu in target.gpus if gpu.bf16 is False})
    unknown = sorted({gpu.name for gpu in target.gpus if gpu.bf16 is None})
    shown = ", ".join(sorted({gpu.name for gpu in target.gpus}))
    evidence(f"{shown}: {'unknown' if unknown else 'no' if old else 'yes'}", old=old, unknown=unknown)
    fixes = {
        "training.bf16": "training.bf16: false and training.fp16: true",
        "quantization.bnb_4bit_compute_dtype": "bnb_4bit_compute_dtype: float16",
        "training.tf32": "training.tf32: false",
    }
    report_findings(
        [
            Finding(
                f"{' and '.join(old)} can't compute in {'TF32' if key == 'training.tf32' else 'bfloat16'}",
                where=config.where(key),
                observed="compute capability below 8.0",
                expected="8.0 or more",
                why="The run stops at its start, or goes on in emulation, several times slower.",
                fix=f"Set {fixes[key]}.",
            )
            for key in keys
            if old
        ]
    )

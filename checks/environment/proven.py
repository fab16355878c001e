import importlib.util

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.environment import trial
from preflight.fixtures import Evidence
from preflight.model.precision import Precision
from preflight.target import Target

LIMIT = {"seconds": 120}


@check(
    "ENV-105",
    "bitsandbytes-works",
    severity="required",
    section=4,
    item="Dependencies installed",
    thresholds=LIMIT,
    machine=True,
)
def bitsandbytes_computes_here(
    config: Config, precision: Precision, target: Target, evidence: Evidence, limits: object
) -> None:
    """`bitsandbytes` quantizes, multiplies and steps on this machine.

    What it checks: In a process of its own, a small layer is quantized as the config says, and goes forward and back; a
    step of the optimizer, if `training.optim` is one of bitsandbytes'. On the card, or on the CPU without one.
    Why it matters: An import proves nothing: without a library for this CUDA, bitsandbytes imports and fails at the
    first quantized layer, after the model was downloaded and loaded.
    How to fix: Install a bitsandbytes that fits torch's CUDA (`pip install -U bitsandbytes`), and unset
    `BNB_CUDA_VERSION`.
    Evidence: bitsandbytes-foundation/bitsandbytes#1559, bitsandbytes-foundation/bitsandbytes#966.
    """
    optimizer = str(config.training_value("optim"))
    own = "8bit" in optimizer or "bnb" in optimizer or optimizer.startswith("paged")
    if precision.compute is None and not own:
        not_applicable("nothing of bitsandbytes is used")
    if not target.local:
        not_applicable("hardware describes another machine; the trainer tries it there")
    if importlib.util.find_spec("bitsandbytes") is None:
        not_applicable("bitsandbytes is not installed; see ENV-101")
    seconds = float(getattr(limits, "seconds", LIMIT["seconds"]))
    problems = {}
    if precision.compute is not None:
        bits = "4" if config.quantization_value("load_in_4bit") else "8"
        problems[f"a {bits}-bit layer"] = trial.fails(trial.QUANTIZED, bits, precision.compute, seconds=seconds)
    if own:
        problems[optimizer] = trial.fails(trial.OPTIMIZER, optimizer, seconds=seconds)
    evidence(f"tried {' and '.join(problems)}", problems=problems)
    report_findings(
        [
            Finding(
                f"{what} of bitsandbytes does not work here",
                where=config.where("quantization" if what.endswith("layer") else "training.optim"),
                observed=problem,
                expected="a result",
                why="The run stops once the model is loaded.",
                fix="pip install -U bitsandbytes, for the CUDA of this torch; unset BNB_CUDA_VERSION.",
            )
            for what, problem in problems.items()
            if problem
        ]
    )


@check(
    "ENV-106",
    "flash-attention-works",
    severity="required",
    section=2,
    item="Flash Attention: installed for efficiency (optional)",
    thresholds=LIMIT,
    machine=True,
)
def flash_attention_works_if_it_is_asked_for(
    config: Config, precision: Precision, target: Target, evidence: Evidence, limits: object
) -> None:
    """`flash-attn` computes on this card, if the config asks for it.

    What it checks: `model.attn_implementation: flash_attention_2` against the card (compute capability 8.0) and, here,
    by an attention forward and back in a process of its own.
    Why it matters: A wheel built for another torch stops the import with an undefined symbol; an older card has no
    kernel.
    How to fix: Install the wheel that was built for this torch, CUDA and Python, or set `attn_implementation: sdpa`: it
    is as fast on most models.
    Evidence: Dao-AILab/flash-attention#854, Dao-AILab/flash-attention#723.
    """
    if config.model.attn_implementation != "flash_attention_2":
        not_applicable("the config doesn't ask for FlashAttention 2")
    old = [gpu.name for gpu in target.gpus if gpu.capability is not None and gpu.capability < (8, 0)]
    problem = None
    if not target.gpus:
        problem = "there is no card" if target.local or config.hardware.count == 0 else None
    elif old:
        problem = f"{old[0]} is older than compute capability 8.0"
    elif target.local and importlib.util.find_spec("flash_attn") is None:
        problem = "flash-attn is not installed"
    elif target.local:
        seconds = float(getattr(limits, "seconds", LIMIT["seconds"]))
        problem = trial.fails(trial.FLASH, precision.amp or "bfloat16", seconds=seconds)
    evidence(problem or "works" if target.local else problem or "not tried here", problem=problem)
    if problem is None:
        return
    report_findings(
        [
            Finding(
                f"FlashAttention 2 can't be used: {problem}",
                where=config.where("model.attn_implementation"),
                observed=problem,
                why="The run stops when the model is loaded, or at its first step.",
                fix="Set model.attn_implementation: sdpa, or install the flash-attn wheel for this torch.",
            )
        ]
    )

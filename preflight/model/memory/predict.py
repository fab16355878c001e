"""Does the run fit: the traced step, what comes on top of it in a process, and the memory that is there."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from preflight.config import Config
from preflight.model import files
from preflight.model.precision import Precision
from preflight.strategy import Strategy
from preflight.target import GIB, Gpu, Target

from . import cache, closed, sharing
from .batch import Batch
from .job import Job

Verdict = Literal["fits", "tight", "does not fit"]

MIB = 2**20
# A CUDA context takes about 500 MiB, and drivers and libraries grow by some 60 MiB more while a run goes on (README of
# fitcheck-llm 0.2; snapshots of can-i-finetune-this on an RTX 4080).
CONTEXT = 560 * MIB
PROCESS = 1024 * MIB  # a Python process with torch, transformers and TRL loaded, on the CPU
PLENTY = 4  # times the formula's result
SLACK = 1.10  # reserved over allocated memory: mean of 11 published measurements, 1.02 to 1.25
# PyTorch gives each cuBLAS handle, one in the forward and one in the backward thread, a workspace of `:4096:2:16:8`,
# and 32 MiB on Hopper (its documentation of CUBLAS_WORKSPACE_CONFIG).
CUBLAS, CUBLAS_HOPPER = 2 * (8 * MIB + 128 * 1024), 2 * 32 * MIB


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a run needs on its fullest device, in bytes.

    Attributes:
        job: The step that was traced.
        target: The machine.
        strategy: How the run is spread over its cards.
        sizes: Parameters of the base model, and those that are trained.
        allocated: Tensors at the peak (`torch.cuda.max_memory_allocated`).
        reserved: What torch's caching allocator holds for them (`torch.cuda.max_memory_reserved`).
        parts: `allocated` by what it is for.
        paged: Optimizer states that a paged optimizer may move to the host.
        problem: Why the step was not traced, and was estimated by a formula instead; None if it was traced.
        phases: Peak of the tensors in each phase of the step, as traced.
    """

    job: Job
    target: Target
    strategy: Strategy
    sizes: tuple[int, int]
    allocated: int
    reserved: int
    parts: Mapping[str, int]
    paged: int = 0
    problem: str | None = None
    phases: Mapping[str, int] = field(default_factory=dict)

    @property
    def card(self) -> Gpu | None:
        """The card with the least free memory."""
        return min(self.target.gpus, key=free, default=None)

    @property
    def device(self) -> str:
        """The card's name."""
        return self.card.name if self.card else "the CPU's memory"

    @property
    def capacity(self) -> int | None:
        """Free memory of the card, or the host's if there is no card; None where it isn't known."""
        return free(self.card) if self.card else self.target.ram

    @property
    def context(self) -> int:
        """What the process takes besides."""
        return CONTEXT if self.card else PROCESS

    @property
    def least(self) -> int:
        """Bytes without which the run can't go on."""
        return self.allocated + self.context

    def likely(self, slack: float = SLACK) -> int:
        """Bytes that the process will have taken at the peak, with the allocator's slack."""
        return max(self.reserved, int(slack * self.allocated)) + self.context

    def verdict(self, slack: float = SLACK) -> Verdict:
        """Whether it fits, and surely so."""
        if self.capacity is None or self.likely(slack) <= self.capacity:
            return "fits"
        return "tight" if self.least <= self.capacity else "does not fit"


def job_of(config: Config, batch: Batch, precision: Precision, target: Target) -> Job:
    """The training step of a config on its longest batch.

    Args:
        config: The run's config.
        batch: The batch that takes most.
        precision: The types it computes in.
        target: The machine.

    Raises:
        ModelFilesError: there is no usable `config.json`.
    """
    settings = files.model_config(config)
    value = config.training_value
    bits: Literal[4, 8, 16] = 16
    if config.quantization is not None:
        bits = (
            4 if config.quantization_value("load_in_4bit") else 8 if config.quantization_value("load_in_8bit") else 16
        )
    half = precision.amp is not None or precision.weights != "float32"
    attention = config.model.attn_implementation
    flash = attention not in (None, "sdpa", "eager")  # keeps no scores and wants no mask
    kwargs = value("gradient_checkpointing_kwargs") or {}
    checkpointing = "reentrant" if kwargs.get("use_reentrant") else "non-reentrant"
    own_code = config.model.trust_remote_code and "auto_map" in settings
    return Job(
        model=settings,
        folder=str(files.folder_of(config)) if own_code else None,
        weights=precision.weights,
        adapter=None if config.lora is None else dict(config.lora),
        cast="bfloat16" if bits != 16 and config.lora is not None else None,
        bits=bits,
        double_quant=bits == 4 and bool(config.quantization_value("bnb_4bit_use_double_quant")),
        compute=precision.compute or precision.weights,
        skip=tuple(config.quantization_value("llm_int8_skip_modules") or ()) if bits != 16 else (),
        autocast=precision.amp,
        batch=batch.rows,
        length=batch.length,
        supervised=batch.supervised,
        padded=batch.masked and not flash,
        accumulation=min(value("gradient_accumulation_steps"), 2),
        checkpointing=checkpointing if value("gradient_checkpointing") else "none",  # type: ignore[arg-type]
        attention="sdpa" if flash else attention,
        sdpa=kernel(settings, half, batch.masked and not flash, flash, target),
        loss="plain" if value("label_smoothing_factor") else "fused",
        optimizer=str(value("optim")),
    )


def kernel(
    settings: Mapping[str, Any], half: bool, masked: bool, flash: bool, target: Target
) -> Literal["flash", "efficient", "math"]:
    """The kernel that torch takes for `scaled_dot_product_attention` on a card.

    FlashAttention wants 16 bits, compute capability 8.0 and no mask. The memory-efficient kernel doesn't know shared
    keys and values, which transformers hands on as they are if there is no mask: then the scores are written out.
    """
    text = settings.get("text_config") or settings
    heads = text.get("num_attention_heads")
    shared = text.get("num_key_value_heads") not in (None, heads)
    ampere = all(gpu.capability is None or gpu.capability >= (8, 0) for gpu in target.gpus)
    if flash or not target.gpus or (half and ampere and not masked):
        return "flash"
    return "math" if shared and not masked else "efficient"


def free(gpu: Gpu) -> int:
    """Bytes that a run can have of a card."""
    return gpu.memory if gpu.free is None else gpu.free


def predict(job: Job, target: Target, strategy: Strategy, sizes: tuple[int, int]) -> Prediction:
    """Trace a job, and say what it comes to on a machine.

    Args:
        job: The training step.
        target: The machine.
        strategy: How the run is spread over its cards.
        sizes: Parameters of the base model, and those that are trained.
    """
    from .trace import Trace, trace

    problem = None
    try:
        found = cache.cached(job, quietly(trace))
    except Exception as error:  # transformers, peft and torch's fake tensors raise anything here
        from preflight.model.build import short

        problem = short(error)
        parts = closed.estimate(job, *sizes)
        found = Trace(sum(parts.values()), sum(parts.values()), parts)
    layers = int((job.model.get("text_config") or job.model).get("num_hidden_layers") or 1)
    width = 2 if job.cast == "bfloat16" or (job.adapter is None and job.weights != "float32") else 4
    parts = sharing.share(found.parts, strategy, layers=layers, trained=sizes[1] * width, cards=len(target.gpus))
    if target.gpus:
        hopper = any(gpu.capability is not None and gpu.capability[0] == 9 for gpu in target.gpus)
        parts["workspace"] = CUBLAS_HOPPER if hopper else CUBLAS
    allocated = sum(parts.values())
    reserved = allocated + found.reserved - found.allocated
    return Prediction(job, target, strategy, sizes, allocated, reserved, parts, found.paged, problem, found.phases)


def predict_here(job: Job, target: Target, strategy: Strategy, sizes: tuple[int, int]) -> Prediction:
    """`predict`, but where training is on the CPU, and a formula shows that memory is plenty, nothing is traced."""
    if not target.gpus:
        parts = closed.estimate(job, *sizes)
        size = sum(parts.values())
        if target.ram is None or PLENTY * size + PROCESS <= target.ram:
            return Prediction(job, target, strategy, sizes, size, size, parts, problem="memory is plenty")
    return predict(job, target, strategy, sizes)


def quietly(function: Any) -> Any:
    """The function without what libraries log about a model that is only traced."""

    def run(job: Job) -> Any:
        import warnings

        before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return function(job)
        finally:
            logging.disable(before)

    return run


def gib(size: int) -> str:
    """Bytes in GiB, with a digit that matters."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / GIB:.2f} GiB"

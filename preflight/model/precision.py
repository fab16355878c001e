"""What the run computes in: the types of weights and activations, as transformers, TRL and peft decide them."""

from dataclasses import dataclass
from typing import Literal

from preflight.config import Config
from preflight.model.files import model_config
from preflight.target import Target

Dtype = Literal["float32", "float16", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Precision:
    """The types of a run.

    Attributes:
        stored: What the checkpoint's `config.json` says its weights are in; float32 if it says nothing.
        weights: What the base model's 16- or 32-bit weights are loaded in.
        amp: What autocast computes in; None without mixed precision.
        compute: What 4-bit and 8-bit layers compute in; None without quantization.
    """

    stored: str
    weights: str
    amp: Dtype | None
    compute: str | None


def precision_of(config: Config, target: Target | None = None) -> Precision:
    """The types that this config comes to.

    Args:
        config: The run's config.
        target: The machine; on one without cards TRL's default of bfloat16 is off, see `build.effective_training`.

    Raises:
        ModelFilesError: there is no usable `config.json`.
    """
    settings = model_config(config)
    stored = settings.get("dtype") or settings.get("torch_dtype") or "float32"
    weights = stored if config.model.dtype == "auto" else config.model.dtype
    on_cpu = target is not None and not target.gpus
    amp: Dtype | None = None
    if config.training_value("fp16"):
        amp = "float16"
    elif config.training.get("bf16") if on_cpu else config.training_value("bf16"):
        amp = "bfloat16"
    quantized = config.quantization is not None and (
        config.quantization_value("load_in_4bit") or config.quantization_value("load_in_8bit")
    )
    compute = (config.quantization_value("bnb_4bit_compute_dtype") or "float32") if quantized else None
    return Precision(stored, weights, amp, compute)

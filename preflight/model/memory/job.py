"""What decides the memory of a training step, as plain data: the same job is never traced twice."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Job:
    """One training step on one device.

    Attributes:
        model: The content of `config.json`.
        folder: Where the model's own code lies; None for a class of transformers.
        weights: Type of the weights that aren't quantized.
        adapter: Fields of peft's `LoraConfig`; None for full fine-tuning.
        cast: Type that the adapter's matrices are cast to, as TRL does on quantized models; None as peft leaves them.
        bits: 4, 8, or 16 for weights that aren't quantized.
        double_quant: Whether 4-bit statistics are quantized again.
        compute: Type that quantized layers compute in.
        skip: Names of modules that aren't quantized.
        upcast: Whether `prepare_model_for_kbit_training` puts embeddings, norms and the head into float32.
        autocast: What autocast computes in; None without mixed precision.
        batch: Rows of a micro batch.
        length: Tokens of a row, padding included.
        supervised: Tokens of the micro batch that the loss is computed on.
        padded: Whether rows differ in length, which makes an attention mask.
        accumulation: Micro batches of an optimizer step.
        checkpointing: Gradient checkpointing: none, or torch's two implementations of it.
        attention: `attn_implementation`; None leaves it to transformers, which takes sdpa where the model has it.
        sdpa: The kernel that torch takes for sdpa on the card: the flash-shaped ones keep no scores, math does.
        loss: `fused` is TRL's head that never holds the logits; `plain` computes them, as the model's own loss does.
        optimizer: A name of `transformers.OptimizerNames`.
    """

    model: Mapping[str, Any]
    weights: str
    adapter: Mapping[str, Any] | None
    batch: int
    length: int
    folder: str | None = None
    cast: str | None = None
    bits: Literal[4, 8, 16] = 16
    double_quant: bool = False
    compute: str = "bfloat16"
    skip: tuple[str, ...] = ()
    upcast: bool = False
    autocast: str | None = "bfloat16"
    supervised: int | None = None
    padded: bool = False
    accumulation: int = 1
    checkpointing: Literal["none", "reentrant", "non-reentrant"] = "none"
    attention: str | None = None
    sdpa: Literal["flash", "efficient", "math"] = "flash"
    loss: Literal["fused", "plain"] = "fused"
    optimizer: str = "adamw_torch_fused"

    def replace(self, **changes: Any) -> "Job":
        """The same job with other values."""
        return dataclasses.replace(self, **changes)

    @property
    def key(self) -> str:
        """A digest of everything above."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True, default=str).encode()).hexdigest()

"""The checklist's table of methods, as data: which scenario asks for which, and why."""

import math
from collections.abc import Callable
from typing import NamedTuple

GIB = 2**30
HIGH_RANK = 64
SHARE = 0.6  # of a card that 16-bit weights may take and still leave room for a run


class Facts(NamedTuple):
    """What a choice of method rests on.

    Attributes:
        weights: Bytes of the base model in 16 bits.
        memory: Bytes of the smallest card.
        quantized: Whether the base is loaded in 4 or 8 bits.
        rank: `lora.r`; 0 for full fine-tuning.
        rslora: `lora.use_rslora`.
        full: Whether all weights are trained.
    """

    weights: int
    memory: int
    quantized: bool
    rank: int
    rslora: bool
    full: bool

    @property
    def share(self) -> float:
        """Share of the card that 16-bit weights take."""
        return self.weights / self.memory


class Advice(NamedTuple):
    """A scenario of the table.

    Attributes:
        holds: Whether a run is in it and does otherwise.
        message: What it does.
        key: Where the config says so.
        why: Why the table has another method.
        fix: The method.
    """

    holds: Callable[[Facts], bool]
    message: str
    key: str
    why: str
    fix: str


TABLE = (
    Advice(
        lambda facts: not facts.quantized and not facts.full and facts.share > SHARE,
        "16-bit weights take most of the card",
        "quantization",
        "What is left is short for activations; QLoRA takes a quarter of it for weights.",
        "Use QLoRA: quantization: {load_in_4bit: true, bnb_4bit_quant_type: nf4}.",
    ),
    Advice(
        lambda facts: facts.quantized and facts.share < SHARE / 3,
        "the base is quantized, and would fit in 16 bits",
        "quantization",
        "4-bit layers make a step about a third slower and a little less exact, for memory that isn't needed.",
        "Use LoRA, or DoRA for the best quality: remove the section quantization.",
    ),
    Advice(
        lambda facts: facts.rank >= HIGH_RANK and not facts.rslora,
        "a high rank without rsLoRA",
        "lora.r",
        "At alpha/r the updates shrink as the rank grows, so that a high rank learns no more than a low one.",
        "Set lora.use_rslora: true, with lora.lora_alpha: {alpha}.",
    ),
)


def rslora_alpha(rank: int, scale: float = 2.0) -> int:
    """The alpha with which rsLoRA scales updates as plain LoRA does at `alpha = scale * r`: `scale * sqrt(r)`."""
    return max(round(scale * math.sqrt(rank)), 1)

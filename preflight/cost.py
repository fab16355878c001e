"""What a run costs besides the card's memory, by plain arithmetic: bytes on the disk, and hours."""

from dataclasses import dataclass

from preflight.config import Config
from preflight.model.files import model_config

WIDTH = {"float32": 4, "float16": 2, "bfloat16": 2}
OVERHEAD = 16 * 2**20  # tokenizer, scheduler and trainer state are a few MB
BLOCK = 256  # values that share a scale in bitsandbytes' 8-bit optimizers
# Measured TFLOP/s over the datasheet's of the card, by 6N FLOP a token (4N without recomputation): A100 88 to 157 of
# 312 (Qwen's README, GPTQ and 16 bits), RTX 4090 92 to 139 of 165 (LLaMA-Factory, torchtune), RTX 4080 22 to 39 of 97.
USED = (0.2, 0.6)
DORA = (1.2, 2.0)  # times the step of LoRA (huggingface/peft#1474)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes on the disk.

    Attributes:
        weights: What is trained, as it is saved.
        checkpoint: A checkpoint: weights, the optimizer's states, and what is small.
        merged: The merged model; 0 if none is planned.
        exported: Its GGUF file in 16 bits; 0 if none is planned.
    """

    weights: int
    checkpoint: int
    merged: int
    exported: int


def sizes_of(config: Config, parameters: int, trainable: int) -> Sizes:
    """What a run writes.

    Args:
        config: The run's config.
        parameters: Parameters of the base model.
        trainable: Parameters that are trained.
    """
    width = width_of(config)
    weights = trainable * width
    states = 0 if config.training_value("save_only_model") else int(trainable * states_of(config, width))
    half = parameters * min(WIDTH.get(dtype_of(config), 4), 2) if config.lora is not None else 0
    planned = config.lora is not None and config.deployment.merged
    exported = config.deployment.engine in ("llama.cpp", "ollama")
    return Sizes(weights + OVERHEAD, weights + states + OVERHEAD, half if planned else 0, half if exported else 0)


def dtype_of(config: Config) -> str:
    """The type that the base model's weights are loaded in."""
    if config.model.dtype != "auto":
        return config.model.dtype
    settings = model_config(config)
    return str(settings.get("dtype") or settings.get("torch_dtype") or "float32")


def width_of(config: Config) -> int:
    """Bytes of a trained parameter as it is saved.

    peft keeps adapters in float32; TRL casts those of quantized models to bfloat16; full fine-tuning saves the model's
    own type.
    """
    if config.lora is None:
        return WIDTH.get(dtype_of(config), 4)
    return 2 if config.quantization is not None else 4


def states_of(config: Config, width: int) -> float:
    """Bytes that the optimizer saves for a trained parameter: torch's in its type, 8-bit ones with scales."""
    name = str(config.training_value("optim"))
    if name.startswith("sgd"):
        return 0.0
    if name == "adafactor":
        return 0.1  # a row and a column of each matrix
    moments = 1 if "lion" in name or "rmsprop" in name else 3 if "ademamix" in name else 2
    if "8bit" in name:
        return moments * (1 + 4 / BLOCK)
    return moments * (4 if "32bit" in name or "bnb" in name else width)


def flop_per_token(config: Config, parameters: int) -> int:
    """Operations that a step takes for a token: 2N forward, 2N back to the activations, 2N more for the gradients of
    weights that are trained, and 2N if activations are computed again.
    """
    times = 4 + (2 if config.lora is None else 0) + (2 if config.training_value("gradient_checkpointing") else 0)
    return times * parameters


def hours(config: Config, parameters: int, tokens: int, tflops: float, cards: int) -> tuple[float, float]:
    """The least and the most hours that a run takes.

    Args:
        config: The run's config.
        parameters: Parameters of the base model.
        tokens: Tokens that are trained on, all epochs together.
        tflops: The card's peak in TFLOP/s, by its datasheet.
        cards: Cards that work at the same time.
    """
    seconds = flop_per_token(config, parameters) * tokens / (tflops * 1e12 * max(cards, 1))
    dora = DORA if config.lora is not None and config.lora_value("use_dora") else (1.0, 1.0)
    return seconds / USED[1] * dora[0] / 3600, seconds / USED[0] * dora[1] / 3600

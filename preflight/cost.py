"""What a run costs besides the card's memory, by plain arithmetic: bytes on the disk and on the host, and hours."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from preflight.config import Config
from preflight.model import files
from preflight.model.modules import ModuleTree
from preflight.model.precision import Precision
from preflight.model.trained import Trained
from preflight.strategy import Strategy

WIDTH: Mapping[str, int] = {"float32": 4, "float16": 2, "bfloat16": 2}
SMALL = 64 * 2**10  # settings, card, trainer and random state
RECORD = 1024  # torch.save's own bytes for the states of one tensor
ZERO = 12  # bytes a parameter that DeepSpeed keeps: weights and moments in float32 (deepspeedai/DeepSpeed#4025)
GGUF = 2

# States of each parameter by a part of the optimizer's name. The first that fits counts; others have Adam's two.
STATES = {"schedule_free_sgd": 1, "sgd": 0, "lomo": 0, "lion": 1, "rmsprop": 1, "adagrad": 1, "mix": 3, "grok": 3}
FACTORED = ("adafactor", "adalomo")  # a row and a column of each matrix
FLOAT32 = ("bnb", "paged", "lion", "mix", "32bit")  # bitsandbytes: whatever the parameters are in
BITS = {"8bit": 8, "4bit": 4}
BLOCK = 256  # values that share a float32 scale; smaller ones than this many are kept in float32:
LEAST = 4096

# Measured TFLOP/s over the datasheet's, by 6N operations a token (4N without recomputation): A100 88 to 157 of 312
# (Qwen's README, 16 and 4 bits), RTX 4090 92 to 95 of 165 (LLaMA-Factory), RTX 3090 47 of 71 (a card of 280 W), RTX
# 4080 22 to 39 of 97. torchtune's compiled models go higher, to 139 on an RTX 4090.
USED = (0.2, 0.7)
DORA = (1.2, 2.0)  # times the step of LoRA (huggingface/peft#1474)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes that a run writes.

    Attributes:
        checkpoint: A checkpoint: weights, the optimizer's states, the tokenizer, and what is small.
        model: What is saved at the end.
        merged: The merged model; 0 if none is planned.
        exported: Its GGUF file in 16 bits, before it is quantized; 0 if none is planned.
    """

    checkpoint: int
    model: int
    merged: int
    exported: int

    @property
    def after(self) -> int:
        """What is written once the run has ended."""
        return self.model + self.merged + self.exported


def sizes_of(config: Config, tree: ModuleTree, precision: Precision, strategy: Strategy) -> Sizes:
    """What a run writes to the disk.

    Args:
        config: The run's config.
        tree: Its module tree.
        precision: Its types.
        strategy: How it is spread; DeepSpeed keeps weights and states in float32.
    """
    base = WIDTH.get(precision.weights, 4)
    small = SMALL + sum(file.stat().st_size for file in files.tokenizer_files(config))
    weights, states = 0, 0.0
    for tensor, count in tree.trained.items():
        width = width_of(tensor, config, base)
        weights += count * tensor.size * width
        states += count * (RECORD + state_bytes(tensor, str(config.training_value("optim")), width))
    if strategy.kind.startswith("zero"):
        states = float(tree.trainable * ZERO + weights)
    if config.training_value("save_only_model"):
        states = 0.0
    merged = config.lora is not None and config.deployment.merged
    gguf = config.deployment.engine in ("llama.cpp", "ollama") and (merged or config.lora is None)
    return Sizes(
        checkpoint=weights + int(states) + small,
        model=weights + small,
        merged=tree.parameters * base + small if merged else 0,
        exported=tree.parameters * GGUF if gguf else 0,
    )


def width_of(tensor: Trained, config: Config, base: int) -> int:
    """Bytes of each value of a trained tensor, as it is saved.

    peft keeps an adapter's matrices in float32 and copies whole modules as they are. On a quantized model TRL casts all
    but DoRA's magnitudes to bfloat16.

    Args:
        tensor: The tensor.
        config: The run's config.
        base: Bytes of a value of the base model.
    """
    if tensor.part == "weight":
        return base
    if config.quantization is not None and tensor.part != "magnitude":
        return 2
    return base if tensor.part == "copy" else 4


def state_bytes(tensor: Trained, optimizer: str, width: int) -> float:
    """Bytes that the optimizer saves of a tensor.

    Args:
        tensor: The tensor.
        optimizer: `training.optim`.
        width: Bytes of each value of the tensor; torch's own optimizers keep their states like the parameters.
    """
    if any(name in optimizer for name in FACTORED):
        *stack, rows, columns = (1, 1)[len(tensor.shape) :] + tensor.shape
        return 4.0 * prod(stack) * (rows + columns)
    states = next((number for name, number in STATES.items() if name in optimizer), 2)
    bits = next((number for name, number in BITS.items() if optimizer.endswith(name)), 0)
    if bits and tensor.size >= LEAST and not tensor.embedding:  # which transformers leaves in 32 bits
        return states * tensor.size * (bits / 8 + 4 / BLOCK)
    return states * tensor.size * (4 if bits or any(name in optimizer for name in FLOAT32) else width)


def host_bytes(
    config: Config, tree: ModuleTree, precision: Precision, strategy: Strategy, *, cards: bool
) -> tuple[int, int]:
    """Bytes of the host's memory that loading the model takes, all processes together, and that merging it takes.

    transformers maps weights from their files where they are in the type that is asked for, and no expert has to be put
    together with others; mapped pages can be dropped and are shared. With a device map or quantization they go to the
    card one by one.

    Args:
        config: The run's config.
        tree: Its module tree.
        precision: Its types.
        strategy: How it is spread; of sharded runs one process loads for all.
        cards: Whether the machine has cards.
    """
    copy = tree.parameters * WIDTH.get(precision.weights, 4)
    stacked = any(layer.role == "expert" and layer.kind == "Parameter" for layer in tree.layers)
    mapped = precision.weights == precision.stored and not stacked
    streamed = cards and (config.quantization is not None or config.model.device_map is not None)
    loaders = 1 if strategy.kind in ("zero3", "fsdp") else strategy.world
    merges = config.lora is not None and config.deployment.merged
    return 0 if mapped or streamed else copy * loaders, copy if merges else 0


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
        tokens: Tokens that are computed, padding included, all epochs together.
        tflops: The card's peak in TFLOP/s, by its datasheet.
        cards: Cards that work at the same time.
    """
    seconds = flop_per_token(config, parameters) * tokens / (tflops * 1e12 * max(cards, 1))
    dora = DORA if config.lora is not None and config.lora_value("use_dora") else (1.0, 1.0)
    return seconds / USED[1] * dora[0] / 3600, seconds / USED[0] * dora[1] / 3600

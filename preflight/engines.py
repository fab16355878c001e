"""What serving engines take of an adapter that isn't merged into its model."""

from typing import Any

from preflight.config import Config
from preflight.findings import not_applicable

VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what --max-lora-rank takes
VLLM_DEFAULT = 16
LLAMA = ("llama.cpp", "ollama")  # Ollama loads what llama.cpp's converter makes
ALL = ("vllm", "sglang", "tgi", *LLAMA)

# A setting of `lora`, the engines that can't load it or apply it wrongly, what it is, and the value that all take.
REFUSED: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("use_dora", ALL, "DoRA", "false"),
    ("modules_to_save", ("vllm", *LLAMA), "copies of whole modules", "null"),
    ("trainable_token_indices", ("vllm", *LLAMA), "rows of the embedding", "null"),
    ("bias", ("vllm",), "biases", "none"),
    ("use_rslora", LLAMA, "rsLoRA's scale", "false"),
    ("alpha_pattern", ("vllm", "tgi", *LLAMA), "several scales", "{}"),
    ("rank_pattern", ("vllm", "tgi"), "several scales", "{}"),
)
CHANGING = ("pissa", "olora", "corda", "loftq")  # they change the base, which the engine then lacks


def engine_of(config: Config) -> str:
    """The declared engine of an adapter that isn't merged."""
    if config.lora is None:
        not_applicable("full fine-tuning: there is no adapter")
    engine = config.deployment.engine
    if engine is None:
        not_applicable("deployment.engine is not set")
    if config.deployment.merged:
        not_applicable("the adapter is merged before it is served")
    return engine


def highest_rank(config: Config) -> int:
    """The highest rank of the adapter's matrices."""
    pattern: dict[str, Any] = config.lora_value("rank_pattern") or {}
    return max(int(rank) for rank in (config.lora_value("r"), *pattern.values()))


def allowed(rank: int) -> int:
    """The lowest `--max-lora-rank` of vLLM that takes a rank."""
    return next((limit for limit in VLLM_RANKS if limit >= rank), rank)

"""A closed formula for what can't be traced. It knows nothing of the model's code: 15 % off, or more."""

from typing import Any

from .job import Job
from .parts import ACTIVATIONS, ADAPTERS, GRADIENTS, LOGITS, OPTIMIZER, QUANTIZATION, WEIGHTS

WIDTH = {"float32": 4, "float16": 2, "bfloat16": 2}
LAYER = 34  # bytes a token and hidden unit that one layer of a transformer keeps in 16 bits (Korthikanti et al. 2022)


def estimate(job: Job, parameters: int, trainable: int) -> dict[str, int]:
    """Bytes at the peak by what they are for.

    Args:
        job: What is trained.
        parameters: Parameters of the base model.
        trainable: Parameters that are trained.
    """
    settings: Any = job.model.get("text_config") or job.model
    hidden, layers = int(settings.get("hidden_size") or 4096), int(settings.get("num_hidden_layers") or 32)
    vocabulary = int(settings.get("vocab_size") or 32000)
    width, tokens = WIDTH[job.weights], job.batch * job.length
    embeddings = min(vocabulary * hidden * (1 if settings.get("tie_word_embeddings", True) else 2), parameters)
    quantized = 0 if job.bits == 16 else parameters - embeddings
    full = job.adapter is None
    kept = width if full else WIDTH[job.cast or "float32"]
    moments = 0 if job.optimizer == "sgd" else 2 if "8bit" in job.optimizer else 2 * kept
    layer = tokens * hidden * LAYER * width // 2
    return {
        WEIGHTS: (parameters - quantized) * width + quantized * job.bits // 8,
        QUANTIZATION: quantized // 16 if job.bits == 4 else 0,
        ADAPTERS: 0 if full else trainable * kept,
        GRADIENTS: trainable * kept,
        OPTIMIZER: trainable * moments,
        ACTIVATIONS: layers * layer if job.checkpointing == "none" else layer + layers * tokens * hidden * width,
        LOGITS: tokens * vocabulary * 14 if job.loss == "plain" else 4096 * 8192 * 4,
    }

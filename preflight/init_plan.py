"""What `preflight init` chooses: how to train on a card so that it fits, and what the examples look like a task of."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from preflight.target import GIB, Gpu, Target

if TYPE_CHECKING:
    from preflight.data.shapes import Example

SHARE = 0.6  # of a card that 16-bit weights may take and still leave room for a run
STEPS = 30  # fewer optimizer steps hardly move an adapter
EPOCHS = 3


class Method(NamedTuple):
    """How to train: what the weights are loaded in, whether 4-bit (QLoRA), the batch, and why, in a few words."""

    dtype: str
    quantize: bool
    why: str
    batch: int = 4
    accumulation: int = 4


def choose_method(parameters: int, gpu: Gpu | None) -> Method:
    """QLoRA if the model's weights, in 16 bits, would take more than a share of the card's memory; else LoRA."""
    if gpu is None:
        return Method("float32", False, "no GPU here: full precision on the CPU")
    sizes = f"{parameters * 2 / GIB:.1f} GiB of weights in 16 bits on {gpu.memory / GIB:.0f} GiB ({gpu.name})"
    dtype = "float16" if gpu.bf16 is False else "bfloat16"
    if parameters * 2 > SHARE * gpu.memory:
        return Method(dtype, True, f"{sizes}: 4-bit", 2, 8)
    return Method(dtype, False, f"{sizes}: they fit")


def fitting(
    method: Method, target: Target, parameters: int, *, settings: Mapping[str, Any], targets: Sequence[str], length: int
) -> Method:
    """The method with the largest batch that fits the card, traced; quantized if nothing else does.

    Args:
        method: What is asked for first.
        target: The machine.
        parameters: Parameters of the model.
        settings: Its `config.json`.
        targets: `lora.target_modules`.
        length: `training.max_length`.
    """
    if not target.gpus:
        return method
    from preflight.model.memory import Job, gib, predict
    from preflight.strategy import Strategy

    adapter = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear" if "all-linear" in targets else list(targets)}
    names = list(dict.fromkeys((method.quantize, True)))
    tried = [(quantize, batch) for quantize in names for batch in ((2, 1) if quantize else (4, 2, 1))]
    for quantize, batch in tried:
        job = Job(
            model=settings,
            weights=method.dtype,
            adapter=adapter,
            batch=batch,
            length=length,
            bits=4 if quantize else 16,
            cast="bfloat16" if quantize else None,
            compute=method.dtype,
            autocast=method.dtype,
            padded=True,
            checkpointing="non-reentrant",
            sdpa="efficient",
            optimizer="paged_adamw_8bit" if quantize else "adamw_torch_fused",
        )
        found = predict(job, target, Strategy("single", 1), (parameters, 0))
        if found.problem:
            return method
        if found.verdict() == "fits":
            needs = f"{method.why}; the run needs {gib(found.likely())}"
            return method._replace(quantize=quantize, batch=batch, accumulation=16 // batch, why=needs)
    why = f"{method.why}; no run of {length:,} tokens fits: lower max_length"
    return method._replace(quantize=True, batch=1, accumulation=16, why=why)


def with_steps(method: Method, rows: int) -> Method:
    """The method with as little accumulation as small data needs to come to enough optimizer steps."""
    accumulation = max(min(method.accumulation, rows * EPOCHS // (method.batch * STEPS)), 1)
    return method._replace(accumulation=accumulation)


class Guess(NamedTuple):
    """A task type, and what it was told by."""

    type: str
    why: str


def guess_task(sample: Sequence["Example"]) -> Guess:
    """What the examples look like a task of; instruction-following unless most of them plainly are something else."""
    from preflight.data.source import answered, asked

    answers, prompts = [answered(one).strip() for one in sample], [asked(one) for one in sample]
    kinds = set(answers)
    short = sum(len(answer.split()) <= 5 for answer in answers)
    shares = {
        "code-generation": _share(answers, r"```|^\s*(def|class|import|#include|function|public|SELECT)\b"),
        "reasoning": _share(answers, r"<think>|step by step|^####|\\boxed\{"),
        "qa": _share(prompts, r"\b(context|passage|document|article|paragraph)\s*:"),
    }
    told = {
        "code-generation": "of the answers hold code",
        "reasoning": "of the answers reason before they answer",
        "qa": "of the prompts bring a passage to answer from",
    }
    if len(sample) >= 50 and len(kinds) <= min(20, len(sample) // 10) and short >= 0.95 * len(sample):
        return Guess("classification", f"the answers are {len(kinds)} short ones")
    best = max(shares, key=lambda name: shares[name])
    if sample and shares[best] >= 0.6:
        return Guess(best, f"{shares[best]:.0%} {told[best]}")
    return Guess("instruction-following", "nothing in the examples says otherwise")


def _share(texts: Sequence[str], pattern: str) -> float:
    found = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    return sum(bool(found.search(text)) for text in texts) / max(len(texts), 1)

"""The trained model at work: loss on held-out examples and greedy answers, base and tuned side by side.

Base and tuned model share one set of weights: the adapter is switched off for the base.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from preflight.config import Config
from preflight.data.label import IGNORE
from preflight.data.prepare import Split
from preflight.model import build
from preflight.model.tokenizer import Tokenizer

BATCH = 4
PROMPTS = 8  # prompts answered by both models
MAX_PROMPT = 1024  # tokens; a longer prompt is left out, since a cut one is another question


@dataclass(frozen=True)
class Trained:
    """The trained model, loaded once.

    Attributes:
        model: A `PeftModel` in evaluation mode, or the fully tuned model.
        tokenizer: The tokenizer that the run trained with.
        base: The base model where it isn't inside `model` (full fine-tuning); None otherwise.
    """

    model: Any
    tokenizer: Tokenizer
    base: Any = None

    @contextlib.contextmanager
    def as_base(self) -> Iterator[Any]:
        """The base model: the same weights with the adapter off."""
        if self.base is not None:
            yield self.base
        else:
            with self.model.disable_adapter():
                yield self.model


@dataclass(frozen=True)
class HeldOut:
    """Mean loss a supervised token on held-out examples, in nats.

    Attributes:
        base: Loss of the base model, one value an example.
        tuned: Loss of the tuned model on the same examples.
        tokens: Supervised tokens of each.
    """

    base: list[float]
    tuned: list[float]
    tokens: list[int]

    @property
    def base_mean(self) -> float:
        return _weighted(self.base, self.tokens)

    @property
    def tuned_mean(self) -> float:
        return _weighted(self.tuned, self.tokens)


@dataclass(frozen=True)
class Answers:
    """What base and tuned model answer to one held-out prompt.

    Attributes:
        row: Index of the example in the validation data.
        prompt: The rendered prompt.
        expected: The answer in the data.
        base: Greedy answer of the base model, without the token that stopped it.
        tuned: Greedy answer of the tuned model.
        base_stopped: Whether the base model stopped by itself within `evaluation.max_new_tokens`.
        tuned_stopped: The same of the tuned model.
    """

    row: int
    prompt: str
    expected: str
    base: str
    tuned: str
    base_stopped: bool
    tuned_stopped: bool


def load_trained(config: Config, tokenizer: Tokenizer) -> Trained:
    """Load base and adapter.

    Raises:
        build.BuildError: there is nothing that loads.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = _on_device(build.load_adapter(config))
    base = _on_device(build.load_base(config).eval()) if config.lora is None else None
    return Trained(model, tokenizer, base)


def _on_device(model: Any) -> Any:
    import torch

    if getattr(model, "hf_device_map", None) or getattr(model, "is_quantized", False):
        return model
    return model.to(torch.accelerator.current_accelerator() or "cpu")


def held_out_loss(config: Config, trained: Trained, split: Split) -> HeldOut:
    """Loss of both models on up to `evaluation.max_examples` held-out examples, within half the time budget."""
    examples = split.examples.with_format(None)
    rows = _spread(len(examples), config.evaluation.max_examples)
    deadline = time.monotonic() + config.evaluation.max_minutes * 30
    base: list[float] = []
    tuned: list[float] = []
    tokens: list[int] = []
    for start in range(0, len(rows), BATCH):
        batch = [examples[row] for row in rows[start : start + BATCH]]
        with trained.as_base() as model:
            base += [loss for loss, _ in _losses(model, batch)]
        for loss, count in _losses(trained.model, batch):
            tuned.append(loss)
            tokens.append(count)
        if time.monotonic() > deadline:
            break
    return HeldOut(base, tuned, tokens)


def _losses(model: Any, batch: list[dict[str, Any]]) -> list[tuple[float, int]]:
    """Mean loss and number of supervised tokens of each example of a batch."""
    import torch
    from torch.nn.functional import cross_entropy

    pad = torch.nn.utils.rnn.pad_sequence
    ids = pad([torch.tensor(row["input_ids"]) for row in batch], batch_first=True).to(model.device)
    labels = pad([torch.tensor(row["labels"]) for row in batch], batch_first=True, padding_value=IGNORE).to(
        model.device
    )
    mask = pad([torch.ones(len(row["input_ids"]), dtype=torch.long) for row in batch], batch_first=True).to(
        model.device
    )
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    target = labels[:, 1:]
    losses = cross_entropy(logits.transpose(1, 2), target, ignore_index=IGNORE, reduction="none").sum(1)
    counts = (target != IGNORE).sum(1)
    return [(float(loss / max(count, 1)), int(count)) for loss, count in zip(losses, counts, strict=True)]


def generate(config: Config, trained: Trained, split: Split) -> list[Answers]:
    """Greedy answers of both models to up to PROMPTS held-out prompts, spread over the split."""
    examples = split.examples.with_format(None)
    chosen: list[tuple[int, list[int], list[int]]] = []
    for row in _spread(len(examples), min(PROMPTS, config.evaluation.max_examples)):
        example = examples[row]
        first = next((n for n, label in enumerate(example["labels"]) if label != IGNORE), 0)
        if 0 < first <= MAX_PROMPT:
            learned = [label for label in example["labels"][first:] if label != IGNORE]
            chosen.append((example["row"], example["input_ids"][:first], learned))
    answers: list[Answers] = []
    for start in range(0, len(chosen), BATCH):
        batch = chosen[start : start + BATCH]
        prompts = [prompt for _, prompt, _ in batch]
        with trained.as_base() as model:
            base = _greedy(model, trained.tokenizer, prompts, config.evaluation.max_new_tokens)
        tuned = _greedy(trained.model, trained.tokenizer, prompts, config.evaluation.max_new_tokens)
        decode = trained.tokenizer.hf.decode
        answers += [
            Answers(row, decode(prompt), _first_turn(trained.tokenizer, learned), b_text, t_text, b_stop, t_stop)
            for (row, prompt, learned), (b_text, b_stop), (t_text, t_stop) in zip(batch, base, tuned, strict=True)
        ]
    return answers


def _first_turn(tokenizer: Tokenizer, learned: list[int]) -> str:
    stop = next((n for n, token in enumerate(learned) if token in tokenizer.stop_ids), len(learned))
    return str(tokenizer.hf.decode(learned[:stop]))


def _greedy(model: Any, tokenizer: Tokenizer, prompts: list[list[int]], limit: int) -> list[tuple[str, bool]]:
    """Greedy answers to a batch of prompts, padded on the left, and whether each stopped by itself."""
    import torch

    width = max(map(len, prompts))
    pad = tokenizer.hf.pad_token_id
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts]).to(model.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]).to(model.device)
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=limit,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            eos_token_id=sorted(tokenizer.stop_ids),
            pad_token_id=pad,
        )
    found = []
    for row in out[:, width:].tolist():
        stop = next((n for n, token in enumerate(row) if token in tokenizer.stop_ids), None)
        found.append((str(tokenizer.hf.decode(row[:stop])), stop is not None))
    return found


def _spread(total: int, wanted: int) -> list[int]:
    """Up to `wanted` indices spread evenly over `total`."""
    return sorted({round(n * (total - 1) / max(wanted - 1, 1)) for n in range(min(wanted, total))})


def _weighted(values: list[float], weights: list[int]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / max(sum(weights), 1)

"""The trained model at work: loss on held-out examples and greedy answers, base and tuned side by side.

Base and tuned model share one set of weights: the adapter is switched off for the base.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from preflight.config import Config
from preflight.data import label, source
from preflight.data.label import IGNORE
from preflight.data.render import Rules
from preflight.data.store import Split
from preflight.findings import counted, not_applicable, not_available
from preflight.model import build
from preflight.model.tokenizer import Tokenizer

BATCH = 4
PROMPTS = 8  # prompts answered by both models
ANSWERS = Rules(assistant_only_loss=True, completion_only_loss=True)  # tell prompt from answer
MAX_TOKENS = 4096  # of an example where training.max_length sets no limit


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
        expected_tokens: Its length.
        base: Greedy answer of the base model, without the token that stopped it.
        tuned: Greedy answer of the tuned model.
        base_stopped: Whether the base model stopped by itself within `evaluation.max_new_tokens`.
        tuned_stopped: The same of the tuned model.
    """

    row: int
    prompt: str
    expected: str
    expected_tokens: int
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
    """Loss of both models on up to `evaluation.max_examples` held-out examples, within half the time budget.

    Examples without a supervised token are left out; longer ones than `training.max_length` are cut, as in training.
    """
    examples = split.examples.with_format(None)
    limit = _max_tokens(config)
    rows = _spread(len(examples), config.evaluation.max_examples)
    deadline = _deadline(config)
    base: list[float] = []
    tuned: list[float] = []
    tokens: list[int] = []
    for start in range(0, len(rows), BATCH):
        found = [examples[row] for row in rows[start : start + BATCH]]
        cut = [(example["input_ids"][:limit], example["labels"][:limit]) for example in found]
        batch = [(ids, labels) for ids, labels in cut if set(labels[1:]) - {IGNORE}]
        if batch:
            with trained.as_base() as model:
                base += [loss for loss, _ in _losses(model, batch)]
            for loss, count in _losses(trained.model, batch):
                tuned.append(loss)
                tokens.append(count)
        if time.monotonic() > deadline:
            break
    return HeldOut(base, tuned, tokens)


def _losses(model: Any, batch: list[tuple[list[int], list[int]]]) -> list[tuple[float, int]]:
    """Mean loss and number of supervised tokens of each example of a batch of (ids, labels)."""
    import torch
    from torch.nn.functional import cross_entropy

    def padded(rows: Iterable[list[int]], value: int) -> Any:
        tensors = [torch.tensor(row) for row in rows]
        return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value).to(model.device)

    ids = padded((ids for ids, _ in batch), 0)
    mask = padded(([1] * len(ids) for ids, _ in batch), 0)
    target = padded((labels for _, labels in batch), IGNORE)[:, 1:]
    keep = target != IGNORE
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
        # Only what is supervised goes to float32: all of it would take several GB with a large vocabulary.
        losses = cross_entropy(logits[keep].float(), target[keep], reduction="none")
    counts = keep.sum(1).tolist()
    return [(float(part.mean()), count) for part, count in zip(torch.split(losses, counts), counts, strict=True)]


def generate(config: Config, trained: Trained, split: Split) -> list[Answers]:
    """Greedy answers of both models to up to PROMPTS held-out prompts, within half the time budget.

    Raises:
        NotApplicable: the held-out examples are plain text, which asks nothing.
        NotAvailable: no prompt could be made of them.
    """
    asked = _questions(config, trained.tokenizer, split)
    deadline = _deadline(config)
    answers: list[Answers] = []
    for start in range(0, len(asked), BATCH):
        batch = asked[start : start + BATCH]
        prompts = [prompt for _, prompt, _ in batch]
        with trained.as_base() as model:
            base = _greedy(model, trained.tokenizer, prompts, config.evaluation.max_new_tokens)
        tuned = _greedy(trained.model, trained.tokenizer, prompts, config.evaluation.max_new_tokens)
        decode = trained.tokenizer.hf.decode
        answers += [
            Answers(row, decode(prompt), decode(turn), len(turn), b_text, t_text, b_stop, t_stop)
            for (row, prompt, turn), (b_text, b_stop), (t_text, t_stop) in zip(batch, base, tuned, strict=True)
        ]
        if time.monotonic() > deadline:
            break
    return answers


def samples(answers: list[Answers]) -> list[dict[str, Any]]:
    """The answers as the HTML report shows them, base and tuned model side by side."""
    return [
        {"prompt": answer.prompt, "base": answer.base, "tuned": answer.tuned, "stopped": answer.tuned_stopped}
        for answer in answers
    ]


def _questions(config: Config, tokenizer: Tokenizer, split: Split) -> list[tuple[int, list[int], list[int]]]:
    """(row, ids up to the first answer, ids of that answer) of held-out examples, spread over the split.

    Made from the user's own rows: where all of a conversation is learned, labels don't tell prompt from answer.
    """
    asking = split.profile[split.profile["shape"] != "text"]
    if asking.empty:
        not_applicable("the held-out examples are plain text: there is no prompt to answer")
    picked = asking.iloc[_spread(len(asking), min(PROMPTS, config.evaluation.max_examples))]
    wanted = set(picked["row"])
    limit = _max_tokens(config)
    found = []
    for number, _, example in source.examples(config, "validation"):
        if number not in wanted:
            continue
        done = label.one(example, tokenizer, ANSWERS)
        learned = np.flatnonzero(done.learned)
        if len(learned) and 0 < learned[0] <= limit:  # a longer prompt cut would be another question
            found.append((number, done.ids[: learned[0]].tolist(), _first_turn(tokenizer, done.ids[learned])))
    if not found:
        not_available(f"none of {counted(len(picked), 'held-out prompt')} has at most {limit} tokens and an answer")
    return found


def _first_turn(tokenizer: Tokenizer, learned: Any) -> list[int]:
    ids = [int(token) for token in learned]
    return ids[: next((n for n, token in enumerate(ids) if token in tokenizer.stop_ids), len(ids))]


def _max_tokens(config: Config) -> int:
    return config.training_value("max_length") or MAX_TOKENS


def _deadline(config: Config) -> float:
    """When half the time budget is over, on the monotonic clock."""
    return time.monotonic() + config.evaluation.max_minutes * 30


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
            num_beams=1,
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
    """Up to `wanted` indices spread evenly over `total`, first and last among them."""
    count = min(total, wanted)
    return [round(n * (total - 1) / max(count - 1, 1)) for n in range(count)]


def _weighted(values: list[float], weights: list[int]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / max(sum(weights), 1)

"""Loss on examples, base and tuned side by side."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from preflight.config import Config
from preflight.data.label import IGNORE
from preflight.data.store import Split
from preflight.evaluation.budget import Budget, in_time, spread
from preflight.evaluation.trained import Trained

BATCH = 4
MAX_TOKENS = 4096  # of an example where training.max_length sets no limit
Row = tuple[list[int], list[int]]  # ids and labels


@dataclass(frozen=True)
class HeldOut:
    """Mean loss a supervised token, in nats.

    Attributes:
        base: Loss of the base model, one value an example.
        tuned: Loss of the tuned model on the same examples.
        tokens: Supervised tokens of each.
        wanted: How many examples there were to be, had there been time.
        keys: What tells each example from the others in every run: a digest of its rendered text.
    """

    base: list[float]
    tuned: list[float]
    tokens: list[int]
    wanted: int = 0
    keys: list[str] = field(default_factory=list)

    @property
    def base_mean(self) -> float:
        return _weighted(self.base, self.tokens)

    @property
    def tuned_mean(self) -> float:
        return _weighted(self.tuned, self.tokens)


def held_out_loss(config: Config, trained: Trained, split: Split, budget: Budget) -> HeldOut:
    """Loss of both models on up to `evaluation.max_examples` held-out examples, in the time there is.

    Examples without a supervised token are left out; longer ones than `training.max_length` are cut, as in training.
    """
    examples = split.examples.with_format(None)
    limit = max_tokens(config)
    rows = sorted(spread(len(examples), config.evaluation.max_examples))
    found: dict[int, tuple[float, float, int]] = {}
    with budget.part("held-out") as deadline:
        for numbers in in_time(rows, BATCH, deadline):
            cut = {at: (row["input_ids"][:limit], row["labels"][:limit]) for at in numbers for row in [examples[at]]}
            batch = {at: row for at, row in cut.items() if set(row[1][1:]) - {IGNORE}}
            if batch:
                before, after = both_losses(trained, [*batch.values()])
                found |= {
                    at: (one, other, count) for at, (one, count), (other, _) in zip(batch, before, after, strict=True)
                }
    base, tuned, tokens = map(list, zip(*(found[at] for at in sorted(found)), strict=True)) if found else ([], [], [])
    hashes = split.profile["example_hash"]
    return HeldOut(base, tuned, tokens, len(rows), [f"{hashes.iloc[at]:016x}" for at in sorted(found)])


def both_losses(trained: Trained, batch: list[Row]) -> tuple[list[tuple[float, int]], list[tuple[float, int]]]:
    """`losses` of the base and of the tuned model."""
    with trained.as_base() as model:
        before = losses(model, batch)
    return before, losses(trained.model, batch)


def losses(model: Any, batch: list[Row]) -> list[tuple[float, int]]:
    """Mean loss and number of supervised tokens of each example of a batch."""
    import torch
    from torch.nn.functional import cross_entropy

    ids, mask, labels = padded(model, batch)
    target = labels[:, 1:]
    keep = target != IGNORE
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
        # Only what is supervised goes to float32: all of it would take several GB with a large vocabulary.
        values = cross_entropy(logits[keep].float(), target[keep], reduction="none")
    counts = keep.sum(1).tolist()
    return [(float(part.mean()), count) for part, count in zip(torch.split(values, counts), counts, strict=True)]


def padded(model: Any, batch: list[Row]) -> tuple[Any, Any, Any]:
    """Ids, mask and labels of a batch, padded on the right, where the model is; shape (rows, longest)."""
    import torch

    def whole(rows: Iterable[list[int]], value: int) -> Any:
        tensors = [torch.tensor(row) for row in rows]
        return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value).to(model.device)

    ids = whole((ids for ids, _ in batch), 0)
    mask = whole(([1] * len(ids) for ids, _ in batch), 0)
    return ids, mask, whole((labels for _, labels in batch), IGNORE)


def max_tokens(config: Config) -> int:
    """The longest example that is evaluated, in tokens."""
    return config.training_value("max_length") or MAX_TOKENS


def _weighted(values: list[float], weights: list[int]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / max(sum(weights), 1)

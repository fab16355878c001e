"""Log-probabilities of supervised tokens: what a model says of a row, whatever its trainer's loss is."""

import inspect
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

MAX_TOKENS = 128  # of a row: the logits of more would take memory that the run itself never needs

Row = Mapping[str, Sequence[int]]


def autocast(arguments: Any) -> AbstractContextManager[Any]:
    """Mixed precision as the trainer has it."""
    half = torch.bfloat16 if arguments.bf16 else torch.float16 if arguments.fp16 else None
    return torch.autocast(arguments.device.type, half) if half else nullcontext()


def log_probabilities(model: Any, rows: Sequence[Row], arguments: Any) -> torch.Tensor:
    """Log-probability of up to MAX_TOKENS supervised tokens of each row, one row at a time.

    Args:
        model: A causal language model, with or without an adapter.
        rows: Prepared rows.
        arguments: The effective `SFTConfig`.
    """
    model.eval()
    found = []
    with torch.inference_mode(), autocast(arguments):
        for row in rows:
            places = [n for n, label in enumerate(row["labels"]) if label >= 0 and n][:MAX_TOKENS]
            if places:
                found.append(_of_row(model, row["input_ids"], [row["labels"][n] for n in places], places))
    return torch.cat(found) if found else torch.empty(0)


def beside(model: Any, short: Row, batch: Mapping[str, torch.Tensor], arguments: Any) -> float | None:
    """Mean difference of a row's log-probabilities alone and in a batch, where it is padded.

    Args:
        model: The model.
        short: The row.
        batch: What the run's collator makes of several rows, of which it is the last.
        arguments: The effective `SFTConfig`.

    Returns:
        None if the batch pads nothing, or the row has nothing to compare.
    """
    alone = log_probabilities(model, [short], arguments)
    mask = batch.get("attention_mask")
    if mask is None or bool(mask[-1].all()) or not len(alone):
        return None
    start = int(mask[-1].nonzero()[0])  # 0, unless the collator pads on the left
    places = [n for n, label in enumerate(short["labels"]) if label >= 0 and n][:MAX_TOKENS]
    with torch.inference_mode(), autocast(arguments):
        logits = _logits(model, batch["input_ids"], mask, [start + n for n in places])[-1]
    return difference(alone, _chosen(logits, [short["labels"][n] for n in places]))


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Mean absolute difference; NaN if there is one in either."""
    return float((one - other).abs().mean()) if len(one) else 0.0


def _of_row(model: Any, ids: Sequence[int], labels: Sequence[int], places: Sequence[int]) -> torch.Tensor:
    row = torch.tensor([[*ids]])
    return _chosen(_logits(model, row, torch.ones_like(row), places)[0], labels)


def _logits(model: Any, ids: torch.Tensor, mask: torch.Tensor, places: Sequence[int]) -> torch.Tensor:
    """Logits that predict the tokens at these places; no others, where the model can leave them out."""
    before = torch.tensor(places) - 1
    inputs = {"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device), "use_cache": False}
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    if "logits_to_keep" in inspect.signature(type(bare).forward).parameters:
        found = model(**inputs, logits_to_keep=before).logits
    else:
        found = model(**inputs).logits[:, before]
    return found.float().cpu()  # type: ignore[no-any-return]


def _chosen(logits: torch.Tensor, labels: Sequence[int]) -> torch.Tensor:
    chosen = torch.tensor(labels)[:, None]
    return torch.log_softmax(logits, dim=-1).gather(1, chosen)[:, 0]

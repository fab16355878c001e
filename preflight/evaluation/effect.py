"""What training changed: the logits of base and tuned model on the same tokens."""

from collections.abc import Sequence
from typing import NamedTuple

from preflight.evaluation.trained import Trained


class Effect(NamedTuple):
    """How far the logits of two models are apart.

    Attributes:
        largest: The largest difference; NaN if a logit of either is no number.
        mean: The mean one.
        changed: Share of places where another token is the likeliest.
    """

    largest: float
    mean: float
    changed: float


def effect_on(trained: Trained, rows: Sequence[list[int]]) -> Effect:
    """The difference between base and tuned model, a row at a time, so that nothing is padded.

    Args:
        trained: The trained model.
        rows: Token ids.
    """
    import torch

    found = []
    for row in filter(None, rows):
        ids = torch.tensor([row])
        with torch.inference_mode():
            tuned = trained.model(input_ids=ids.to(trained.model.device)).logits.float()
            with trained.as_base() as model:
                base = model(input_ids=ids.to(model.device)).logits.float().to(tuned.device)
        apart = (tuned - base).abs()
        other = (tuned.argmax(-1) != base.argmax(-1)).float()
        found.append(torch.stack([apart.max(), apart.mean(), other.mean()]))
    if not found:
        return Effect(0.0, 0.0, 0.0)
    each = torch.stack(found)
    return Effect(float(each[:, 0].max()), *map(float, each[:, 1:].mean(0)))

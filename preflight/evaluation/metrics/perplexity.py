"""Perplexity: how many tokens the model wavers between, on average, on the expected answers themselves."""

import math
from collections.abc import Sequence

from preflight.evaluation.metrics.metric import Measured, Metric, additive


def perplexity(losses: Sequence[float], tokens: Sequence[int]) -> Measured:
    """The exponential of the mean loss, weighted by tokens.

    Args:
        losses: Mean loss of each example, in nats a token.
        tokens: Supervised tokens of each.
    """
    import numpy as np

    parts = [[loss * count, count] for loss, count in zip(losses, tokens, strict=True)]
    score = additive(parts, lambda sums, _: np.exp(sums[:, 0] / sums[:, 1]))
    return Measured(score, [math.exp(min(loss, 700)) for loss in losses])


METRICS = (Metric("perplexity", "Perplexity", None, higher_is_better=False, top=None, mean=False),)

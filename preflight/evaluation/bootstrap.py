"""Intervals of two scores and of their difference, by resampling the examples.

Both models answered the same examples, so both are taken again on the same resamples: what makes an example hard
cancels out in the difference. Examples are resampled, not answers; greedy answers are always the same.
"""

from dataclasses import dataclass
from typing import Any

from preflight.evaluation.metrics.metric import Measured

LEVEL = 0.95
SEED = 20170


@dataclass(frozen=True)
class Interval:
    """A score and where it may lie.

    Attributes:
        value: The score of all examples.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def paired(base: Measured, tuned: Measured, count: int) -> tuple[Interval, Interval, Interval]:
    """Intervals of the base model, of the tuned one, and of tuned minus base.

    Percentile intervals, made wider for few examples as Hesterberg proposes (2015, "What Teachers Should Know About the
    Bootstrap", expanded percentile interval): plain ones of 8 examples hold the truth in 9 of 10 cases, not 19 of 20.

    Args:
        base: A metric of the base model.
        tuned: The same of the tuned model, on the same examples.
        count: How many examples there are; at least one.
    """
    import numpy as np

    rounds = min(base.rounds, tuned.rounds)
    weights = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=rounds)
    before, after = base.score(weights), tuned.score(weights)
    one, other = value_of(base, count), value_of(tuned, count)
    with np.errstate(invalid="ignore"):  # infinite losses
        return (
            _interval(one, before, count),
            _interval(other, after, count),
            _interval(other - one, after - before, count),
        )


def value_of(measured: Measured, count: int) -> float:
    """The score of all examples."""
    import numpy as np

    return float(measured.score(np.ones((1, count)))[0]) if measured.value is None else measured.value


def tail(count: int) -> float:
    """The share of resamples below the interval, and above it: 2.5 %, and less the fewer examples there are."""
    from scipy import stats

    if count < 2:
        return 0.0
    return float(stats.norm.cdf(stats.t.ppf((1 - LEVEL) / 2, count - 1) * (count / (count - 1)) ** 0.5))


def _interval(value: float, resampled: Any, count: int) -> Interval:
    import numpy as np

    low, high = np.quantile(resampled, [tail(count), 1 - tail(count)])
    return Interval(value, float(low), float(high))

"""Trends of a noisy curve: means over parts of it, and how far noise alone could move them."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from preflight.flight.log import Curve, Log
from preflight.flight.plan import Plan

GROUPED = 50  # batches that `group_by_length` sorts together: transformers' mega batches
FEW = 4  # values that can't show a trend: noise alone decides


class Change(NamedTuple):
    """From the beginning of a curve to its end.

    Attributes:
        first: Mean of its first part.
        last: Mean of its last part.
        error: Standard error of their difference, from the noise between neighbours.
    """

    first: float
    last: float
    error: float

    @property
    def drop(self) -> float:
        """Share of the first part's mean by which the last part's is lower; 0 if that is 0."""
        return (self.first - self.last) / self.first if self.first else 0.0

    @property
    def words(self) -> str:
        """The change as a percentage."""
        return f"{0 - self.drop:+.1%}" if self.first else f"{self.last - self.first:+.3f}"


def losses_of(log: Log, plan: Plan) -> Curve:
    """The training losses that are finite; where rows of like length come together, means over whole groups of them."""
    curve = finite(log.curve("loss"))
    if plan.order == "group_by_length":
        return windows(curve, max(GROUPED // plan.accumulation, 1))
    return curve


def finite(curve: Curve) -> Curve:
    """The values that are finite."""
    good = np.isfinite(curve.values)
    return Curve(curve.steps[good], curve.values[good])


def windows(curve: Curve, steps: int) -> Curve:
    """Means over windows of so many optimizer steps; the last one, which may be cut off, is left out."""
    if not len(curve):
        return curve
    number = (curve.steps - 1) // steps
    whole = number < curve.steps[-1] // steps
    numbers, where = np.unique(number[whole], return_inverse=True)
    sums = np.bincount(where, weights=curve.values[whole], minlength=len(numbers))
    return Curve((numbers + 1) * steps, sums / np.maximum(np.bincount(where, minlength=len(numbers)), 1))


def noise(values: NDArray[np.float64]) -> float:
    """Standard deviation of the noise around a slow curve, from differences of neighbours (von Neumann 1941)."""
    return float(np.sqrt(np.mean(np.diff(values) ** 2) / 2)) if len(values) > 1 else math.inf


def change(values: NDArray[np.float64]) -> Change | None:
    """From the first quarter to the last, of a short curve from half to half; None of one that is too short to say."""
    if len(values) < FEW:
        return None
    part = max(len(values) // 4, min(len(values) // 2, FEW))
    error = noise(values) * math.sqrt(2 / part)
    return Change(float(values[:part].mean()), float(values[-part:].mean()), error)


def last_step(log: Log) -> int:
    """The last step that was logged."""
    steps = log.curve("loss").steps
    return int(steps[-1]) if len(steps) else 0


def lower(rate: float) -> str:
    """What to do about a rate that is too high."""
    return f"Lower training.learning_rate by 2-10x, to between {rate / 10:.2g} and {rate / 2:.2g}"


def higher(rate: float) -> str:
    """What to do about a rate that is too low."""
    return f"Raise training.learning_rate by 2-5x, to between {rate * 2:.2g} and {rate * 5:.2g}"


def wait_share(log: Log) -> float:
    """Median share of a step that is spent waiting for data."""
    waited, seconds = log.curve("wait_seconds").values, log.curve("step_seconds").values
    return float(np.median(waited / np.maximum(seconds, 1e-9))) if len(waited) and len(waited) == len(seconds) else 0.0

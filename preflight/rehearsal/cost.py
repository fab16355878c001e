"""What the whole run will take, from the few steps that were measured."""

from typing import Any, get_args

import numpy as np

from preflight.config import Config
from preflight.data.store import Split
from preflight.rehearsal.facts import Kind, Rehearsal
from preflight.rehearsal.plan import padded
from preflight.schedule import schedule_of


def run_tokens(config: Config, train: Split) -> float:
    """Tokens that the whole run computes, in all processes together, padding included."""
    schedule, lengths = schedule_of(config, len(train.dataset)), train.profile["kept"].to_numpy()
    if train.fed.name == "data.arrow":  # else rows are packed, and hardly padded
        size = config.training_value("per_device_train_batch_size")
        epoch = batch_tokens(lengths, size, padded=padded(config)) / size * len(lengths)
    else:
        epoch = float(lengths.sum())
    return float(epoch * schedule.steps / max(schedule.steps_per_epoch, 1))


def batch_tokens(lengths: Any, size: int, *, padded: bool, seed: int = 0) -> float:
    """Mean tokens of a micro batch of rows drawn at random, padding included.

    Args:
        lengths: Tokens of each row, a numpy array.
        size: Rows of a micro batch.
        padded: Whether its rows are padded to the longest.
        seed: What they are drawn by.
    """
    if not padded or size == 1:
        return float(lengths.mean() * size)
    drawn = np.random.default_rng(seed).permutation(np.resize(lengths, max(len(lengths), size)))
    batches = drawn[: len(drawn) // size * size].reshape(-1, size)
    return float(batches.max(axis=1).mean() * size)


def run_seconds(found: Rehearsal, tokens: float) -> tuple[float, float] | None:
    """Seconds of a run, from and to, without evaluations; None if no step was measured.

    A token of a long row costs more than one of a short row: the two batches that were measured give the range.

    Args:
        found: The rehearsal.
        tokens: What the run computes.
    """
    rates = [rate for kind in get_args(Kind) if (rate := _rate(found, kind)) is not None]
    return (tokens * min(rates), tokens * max(rates)) if rates else None


def _rate(found: Rehearsal, kind: Kind) -> float | None:
    """Seconds a token, of the fastest step on that batch: others waited for something."""
    batch = found.typical if kind == "typical" else found.longest
    seconds = [step.seconds for step in found.steps if step.batch == kind]
    return min(seconds) / (batch.padded * found.accumulation) if seconds else None


def in_words(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`, `2.1 days`."""
    for unit, size, limit in (("s", 1, 90), ("min", 60, 90), ("h", 3600, 48)):
        if seconds / size < limit:
            return f"{seconds / size:.{1 if unit == 'h' else 0}f} {unit}"
    return f"{seconds / 86400:.1f} days"

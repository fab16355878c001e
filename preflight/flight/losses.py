"""Judges of the loss curve."""

import math
from itertools import takewhile
from statistics import fmean

from preflight.findings import Finding
from preflight.flight.log import Log

LOSSES = ("loss", "eval_loss", "train_loss")
SKIPPED = 3  # logged gradient norms in a row that a loss scaler no longer accounts for
FEW = 4


def not_finite(log: Log) -> list[Finding]:
    """The first loss that is NaN or infinite, or gradient norm that is so from there on.

    A single infinite gradient norm is normal in fp16: the loss scaler skips that step and lowers its scale.
    """
    broken = [
        (step, key, value) for key in LOSSES for step, value in log.curve(key).points() if not math.isfinite(value)
    ]
    norms = reversed(log.curve("grad_norm").points())
    tail = list(takewhile(lambda norm: not math.isfinite(norm[1]), norms))
    if len(tail) >= SKIPPED:
        broken.append((tail[-1][0], "grad_norm", tail[-1][1]))
    return [
        Finding(
            f"{key} is {value} at step {step}",
            where=f"step {step}",
            observed=str(value),
            expected="a finite number",
            why="From here on the weights are NaN; the adapter that was saved is useless.",
            fix="Lower training.learning_rate by 2-10x, and use bf16 rather than fp16.",
        )
        for step, key, value in sorted(broken, key=lambda found: found[0])[:1]
    ]


def not_falling(log: Log, *, min_drop: float) -> list[Finding]:
    """A training loss whose last quarter (of a short log, half) is not below its first by at least `min_drop` of it.

    Args:
        log: Logged steps. With fewer than FEW losses nothing is found: noise alone decides.
        min_drop: Share of the first part's mean loss by which the last part's must be lower.
    """
    losses = [value for _, value in log.curve("loss").points() if math.isfinite(value)]
    if len(losses) < FEW:
        return []
    part = max(len(losses) // 4, min(len(losses) // 2, FEW))
    first, last = fmean(losses[:part]), fmean(losses[-part:])
    if last <= first * (1 - min_drop):
        return []
    change = f"{(last - first) / first:+.1%}" if first else f"{last - first:+.3f}"
    return [
        Finding(
            f"the training loss does not fall: {first:.3f} at the start, {last:.3f} at the end",
            where=f"{len(losses)} logged steps",
            observed=change,
            expected=f"{-min_drop:+.0%} or less",
            why="The adapter has learned nothing from the data.",
            fix="Raise training.learning_rate by 2-5x, or train longer; if it rose, lower it by 2-10x.",
        )
    ]

"""Judges of a run log: pure functions over logged steps, for the monitors while it runs and the checks afterwards."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from preflight.findings import Finding

Log = Sequence[dict[str, Any]]


def read_log(path: Path) -> list[dict[str, Any]]:
    """The steps of a `run.jsonl`, one object a logged step; a last line that was cut off is left out."""
    steps = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            steps.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return steps


def curve(log: Log, key: str) -> list[tuple[int, float]]:
    """(step, value) of every logged step that has the value."""
    return [(step["step"], float(step[key])) for step in log if step.get(key) is not None and "step" in step]


def not_finite(log: Log) -> list[Finding]:
    """Losses or gradient norms that are NaN or infinite: everything after them is lost."""
    return [
        Finding(
            f"{key} is {value} at step {step}",
            where=f"step {step}",
            observed=str(value),
            expected="a finite number",
            why="From here on the weights are NaN; the adapter that was saved is useless.",
            fix="Lower training.learning_rate by 2-10x, and use bf16 rather than fp16.",
        )
        for key in ("loss", "grad_norm", "eval_loss")
        for step, value in curve(log, key)
        if not math.isfinite(value)
    ][:1]


def not_falling(log: Log, *, min_drop: float) -> list[Finding]:
    """A training loss whose last quarter is not below its first by at least `min_drop` of it.

    Args:
        log: Logged steps.
        min_drop: Share of the first quarter's mean loss by which the last quarter's must be lower.
    """
    losses = [value for _, value in curve(log, "loss") if math.isfinite(value)]
    if len(losses) < 4:
        return []
    quarter = len(losses) // 4
    first, last = fmean(losses[:quarter]), fmean(losses[-quarter:])
    if last <= first * (1 - min_drop):
        return []
    return [
        Finding(
            f"the training loss does not fall: {first:.3f} at the start, {last:.3f} at the end",
            where=f"{len(losses)} logged steps",
            observed=f"{(first - last) / first:+.1%} fall",
            expected=f"at least {min_drop:.0%}",
            why="The adapter has learned nothing from the data.",
            fix="Raise training.learning_rate by 2-5x, or train longer; if it rose, lower it by 2-10x.",
        )
    ]

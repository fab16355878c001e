"""The curves of a run log, small enough for a page, and what they come to in a few numbers."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from preflight.flight import Curve, Log

GIB = 2**30
STRETCHES = 299  # of a curve; each keeps its lowest and its highest value, and with both ends that is 600


class Chart(NamedTuple):
    """A chart of the report.

    Attributes:
        title: What it shows.
        lines: Name of each line, and the key of the log that it shows.
        unit: Unit of its values, in words; nothing for plain numbers.
        scale: What a value of the log is divided by.
        floor: Where its axis starts; None for the lowest value.
    """

    title: str
    lines: Mapping[str, str]
    unit: str = ""
    scale: float = 1
    floor: float | None = 0


MEMORY = Chart(
    "Memory",
    {
        "of the process": "memory_resident",
        "reserved on the card": "memory_reserved",
        "allocated on the card": "memory_allocated",
    },
    "GiB",
    GIB,
)
CHARTS = (
    Chart("Loss", {"training": "loss", "validation": "eval_loss"}, floor=None),
    Chart("Learning rate", {"learning rate": "learning_rate"}),
    Chart("Gradient norm", {"gradient norm": "grad_norm"}),
    MEMORY,
    Chart("Speed", {"speed": "tokens_per_second"}, "tokens a second"),
    Chart("Step time", {"step": "step_seconds", "waiting for data": "wait_seconds"}, "seconds"),
    Chart("Card at work", {"card": "gpu_utilization"}, "percent of the time"),
)


def charts(log: Log, card_memory: int | None = None) -> list[dict[str, Any]]:
    """The charts that a log has something for, as they go to `report.json`.

    Args:
        log: The run log.
        card_memory: Bytes of memory that a card has in total; None if that isn't known.
    """
    return [drawn for chart in CHARTS if (drawn := _drawn(chart, log, card_memory))["lines"]]


def _drawn(chart: Chart, log: Log, card_memory: int | None) -> dict[str, Any]:
    curves = {name: thin(log.curve(key)) for name, key in chart.lines.items()}
    lines = [
        {"name": name, "steps": curve.steps.tolist(), "values": (curve.values / chart.scale).tolist()}
        for name, curve in curves.items()
        if len(curve)
    ]
    found: dict[str, Any] = {"title": chart.title, "unit": chart.unit, "floor": chart.floor, "lines": lines}
    if chart is MEMORY and card_memory and len(log.curve("memory_reserved")):
        found["limit"] = {"name": "card in total", "value": card_memory / GIB}
    return found


def thin(curve: Curve) -> Curve:
    """A curve of few points: of each stretch its lowest, its highest and its first value that is no number."""
    size = -(-len(curve) // STRETCHES)
    if size <= 2:
        return curve
    stretches = np.pad(curve.values, (0, -len(curve) % size), mode="edge").reshape(-1, size)
    bad = ~np.isfinite(stretches)
    starts = np.arange(len(stretches)) * size
    places = [
        starts + np.where(bad, np.inf, stretches).argmin(1),
        starts + np.where(bad, -np.inf, stretches).argmax(1),
        (starts + bad.argmax(1))[bad.any(1)],
        np.array([0, len(curve) - 1]),
    ]
    kept = np.unique(np.minimum(np.concatenate(places), len(curve) - 1))
    return Curve(curve.steps[kept], curve.values[kept])


def measured(log: Log) -> dict[str, float]:
    """What a run came to: means of a step are medians over the log, memory is its peak, energy the sum.

    Its keys are those of the log, and `steps`; what was not logged is left out.
    """
    found: dict[str, float] = {}
    if len(steps := log.curve("loss").steps):
        found["steps"] = int(steps[-1])
    ways: dict[str, Callable[[Any], Any]] = {
        "tokens_per_second": np.median,
        "step_seconds": np.median,
        "wait_seconds": np.median,
        "gpu_utilization": np.median,
        "memory_resident": np.max,
        "memory_allocated": np.max,
        "memory_reserved": np.max,
        "energy_wh": np.sum,
    }
    for key, way in ways.items():
        values = log.curve(key).values
        values = values[np.isfinite(values)]
        if len(values):
            found[key] = round(float(way(values)), 6)
    return found


def in_words(found: Mapping[str, float]) -> dict[str, str]:
    """The same for people: a label and a line each for speed, time of a step, memory and energy.

    Args:
        found: What `measured` gave.
    """
    said: dict[str, str] = {}
    if (speed := found.get("tokens_per_second")) is not None:
        said["speed"] = f"{speed:,.0f} tokens/s"
    if step := found.get("step_seconds"):
        waiting = f", {found['wait_seconds'] / step:.0%} of it waiting for data" if "wait_seconds" in found else ""
        said["step"] = f"{step:.3g} s{waiting}"
    memory = {"memory_resident": "in the process", "memory_reserved": "reserved on the card"}
    peaks = [f"{found[key] / GIB:.1f} GiB {where}" for key, where in memory.items() if key in found]
    if peaks:
        said["memory"] = f"at most {' and '.join(peaks)}"
    if (energy := found.get("energy_wh")) is not None:
        said["energy"] = f"{energy:,.3g} Wh" if energy < 1000 else f"{energy / 1000:,.3g} kWh"
    return said


def resumes(log: Log) -> int:
    """How many times the run was resumed."""
    return sum(bool(record.get("resumed")) for record in log.records)


def first_time(log: Log, *, before: datetime) -> datetime | None:
    """When its first step was logged, if that was before a time; None else."""
    times = (record.get("time") for record in log.records)
    first = next((time for time in times if isinstance(time, int | float)), math.inf)
    return datetime.fromtimestamp(first, UTC) if first < before.timestamp() else None

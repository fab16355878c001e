"""A run log as columns: one value of each key a logged step."""

import json
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Curve(NamedTuple):
    """The values of one key.

    Attributes:
        steps: The optimizer step of each, float64.
        values: The values, float64.
    """

    steps: NDArray[np.float64]
    values: NDArray[np.float64]

    def __len__(self) -> int:  # of a tuple it would be 2
        return len(self.steps)

    def points(self) -> list[tuple[int, float]]:
        """(step, value) of each, as plain numbers."""
        return [(int(step), float(value)) for step, value in zip(self.steps, self.values, strict=True)]


class Log:
    """Logged steps. Adding one is cheap at any length: a run of a million steps is judged while it runs.

    Attributes:
        records: The steps as they were logged.
        foreign: Whether another program logged them, which knows nothing of tokens, memory and pauses.
    """

    def __init__(self, records: Iterable[Mapping[str, Any]] = (), *, foreign: bool = False) -> None:
        self.foreign = foreign
        self.records: list[Mapping[str, Any]] = []
        self._columns: dict[str, tuple[array[float], array[float]]] = {}
        for record in records:
            self.add(record)

    def __len__(self) -> int:
        return len(self.records)

    def add(self, record: Mapping[str, Any]) -> None:
        """Add a logged step. What has no `step` belongs to no curve."""
        self.records.append(record)
        step = record.get("step")
        if not isinstance(step, int | float):
            return
        for key, value in record.items():
            if isinstance(value, int | float):
                steps, values = self._columns.setdefault(key, (array("d"), array("d")))
                steps.append(step)
                values.append(value)

    def curve(self, key: str) -> Curve:
        """The curve of a key; an empty one if nothing has it."""
        steps, values = self._columns.get(key, (array("d"), array("d")))
        return Curve(np.array(steps), np.array(values))


def read_log(path: Path) -> Log:
    """The steps of a `run.jsonl`, one object a logged step; a last line that was cut off is left out."""
    steps = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            steps.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return Log(step for step in steps if isinstance(step, dict))

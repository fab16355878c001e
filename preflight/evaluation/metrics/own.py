"""A user's own metric: a function of a file, `metrics.py:function`.

It is called with the answers and the expected answers, two lists of texts, and, if it has a parameter `columns`, with
the rows of the file. It returns one number an answer, whose mean is the score, or a single number for all of them.
Where less is better it says so: `function.higher_is_better = False`.
"""

import inspect
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from preflight.evaluation.metrics.metric import ROUNDS, Measured, Metric, Texts, averaged
from preflight.findings import not_available
from preflight.registry import RegistryError, load_file

SECONDS = 30.0  # for the resamples of one model, where a single number is taken again of each; never fewer than 100


def load_metric(name: str, folder: Path) -> Metric:
    """The metric behind `file.py:function`.

    Raises:
        NotAvailable: there is no such file or function, or the file can't be imported.
    """
    file, _, attribute = name.rpartition(":")
    path = (folder / Path(file).expanduser()).resolve()
    if not path.is_file():
        not_available(f"evaluation.metrics: {name}: there is no file {path}")
    try:
        function = getattr(load_file(path), attribute, None)
    except RegistryError as error:
        not_available(f"evaluation.metrics: {error}")
    if not callable(function):
        not_available(f"evaluation.metrics: {path} has no function {attribute}")
    higher = bool(getattr(function, "higher_is_better", True))
    return Metric(name, attribute.replace("_", " "), lambda texts: measure(name, function, texts), higher, top=None)


def measure(name: str, function: Callable[..., Any], texts: Texts) -> Measured:
    """What the function says of one model's answers.

    Raises:
        NotAvailable: it raises, or returns anything but one number, or one an answer.
    """
    everything = range(len(texts.answers))
    began = time.monotonic()
    found = _numbers(name, function, texts, everything)
    if isinstance(found, list):
        return averaged(found)
    rounds = max(100, min(ROUNDS, int(SECONDS / max(time.monotonic() - began, 1e-9))))

    def score(weights: Any) -> Any:
        import numpy as np

        picked = [np.repeat(everything, row).tolist() for row in np.asarray(weights, dtype=int)]
        return np.array([_numbers(name, function, texts, numbers) for numbers in picked], dtype=float)

    return Measured(score, [], value=found, rounds=rounds)


def _numbers(name: str, function: Callable[..., Any], texts: Texts, picked: Sequence[int]) -> float | list[float]:
    answers, expected = ([side[number] for number in picked] for side in (texts.answers, texts.expected))
    try:
        takes = inspect.signature(function).parameters
        more = {"columns": [dict(texts.columns[number]) for number in picked]} if "columns" in takes else {}
        found = function(answers, expected, **more)
        found = found.tolist() if hasattr(found, "tolist") else found
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() is no Exception
        not_available(f"evaluation.metrics: {name} raised {type(error).__name__}: {error}")
    single = not isinstance(found, (list, tuple))
    numbers = [found] if single else list(found)
    good = all(isinstance(value, (int, float)) and math.isfinite(value) for value in numbers)
    if not good or (not single and len(numbers) != len(answers)):
        not_available(
            f"evaluation.metrics: {name} returned {_shown(found)} for {len(answers)} answers; return one finite "
            "number, or a list with one an answer"
        )
    return float(numbers[0]) if single else [float(value) for value in numbers]


def _shown(found: Any) -> str:
    if isinstance(found, (list, tuple)):
        return f"a list of {len(found)}"
    try:
        return repr(found)[:60]
    except Exception:
        return f"a {type(found).__name__}"

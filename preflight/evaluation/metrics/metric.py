"""What a metric is: answers become a score that can be taken again of any resample of the examples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from preflight.config.evaluation import Evaluation

# How often each example counts, one row a resample, shape (resamples, examples) ► one score a resample.
Score = Callable[[Any], Any]
ROUNDS = 2000  # resamples: the 0.6 % quantile that 8 examples need then lies between a dozen and the rest


@dataclass(frozen=True)
class Texts:
    """What one model answered.

    Attributes:
        answers: What it said, without what it thought before.
        expected: The answers in the data, likewise.
        columns: The rows as they stand in their file.
        settings: The section `evaluation` of the config.
        folder: The folder of the config, which paths are relative to.
        where: Places of the examples, for what is said about one.
        programs: Sampled answers of each, for a metric that asks for them.
    """

    answers: Sequence[str]
    expected: Sequence[str]
    columns: Sequence[Mapping[str, Any]]
    settings: "Evaluation"
    folder: Path = Path()
    where: Sequence[str] = ()
    programs: Sequence[Sequence[str]] = ()

    def place(self, number: int) -> str:
        return self.where[number] if self.where else f"example {number}"


@dataclass(frozen=True)
class Measured:
    """A metric of one model.

    Attributes:
        score: The score of any resample.
        each: One value an example, for reports: their mean is the score only if the metric says so.
        notes: What else was counted.
        value: The score of all examples, where a library gives it; taken from `score` otherwise.
        rounds: How many resamples there is time for.
    """

    score: Score
    each: Sequence[float]
    notes: Mapping[str, int] = field(default_factory=dict)
    value: float | None = None
    rounds: int = ROUNDS


@dataclass(frozen=True)
class Metric:
    """A named metric.

    Attributes:
        name: Its name in the config.
        title: Its name in words.
        measure: Makes it of texts; None if it is made of the held-out losses.
        higher_is_better: Whether it is.
        top: The most it can be: 1, 100, or None where there is no bound. What goes to 1 is written in percent.
        mean: Whether the score is the mean of one value an example.
        loose: Whether it only says how much words overlap, so that small differences tell nothing.
        samples: How many sampled answers to each prompt it needs; 0 for the greedy one.
    """

    name: str
    title: str
    measure: Callable[[Texts], Measured] | None
    higher_is_better: bool = True
    top: float | None = 1
    mean: bool = True
    loose: bool = False
    samples: int = 0

    def written(self, value: float, *, signed: bool = False) -> str:
        """A value of it, or a difference of two, in words: `82.5 %`, `+1.3 points`, `23.1`."""
        if self.top != 1:
            return f"{value:+.4g}" if signed else f"{value:.4g}"
        return f"{100 * value:+.1f} points" if signed else f"{100 * value:.1f} %"


def averaged(each: Sequence[float], notes: Mapping[str, int] | None = None) -> Measured:
    """A score that is the mean of one value an example."""
    return Measured(additive([[value] for value in each], lambda sums, counts: sums[:, 0] / counts), each, notes or {})


def additive(parts: Any, combine: Callable[[Any, Any], Any]) -> Score:
    """A score made of sums over the examples.

    Args:
        parts: What adds up, shape (examples, parts).
        combine: Makes scores of the sums, shape (resamples, parts), and of how many examples there are.
    """
    import numpy as np

    table = np.asarray(parts, dtype=np.float64)

    def score(weights: Any) -> Any:
        weights = np.asarray(weights, dtype=np.float64)
        with np.errstate(all="ignore"):  # what isn't finite is shown as such
            return combine(weights @ table, weights.sum(axis=1))

    return score


def spoken(text: str) -> str:
    """An answer without the thinking before it, that is, behind the last `</think>`; code keeps its indentation."""
    _, thought, rest = text.rpartition("</think>")
    return rest.lstrip("\n") if thought else text

"""What a config could be changed to, in words."""

from preflight.config import Config

from . import search
from .job import Job
from .predict import Prediction, gib, predict


def fitting_change(config: Config, memory: Prediction, slack: float) -> str | None:
    """The cheapest change that makes a run fit with slack, what it costs and what it then needs; None if none does."""

    def fits(job: Job) -> Prediction | None:
        found = _again(memory, job)
        return found if found.verdict(slack) == "fits" else None

    accumulation = int(config.training_value("gradient_accumulation_steps"))
    change = search.cheapest_change(memory.job, fits, accumulation)
    if change is None:
        return None
    return f"{' and '.join(change.settings)} ({change.cost}; needs {gib(change.prediction.likely(slack))})"


def largest_batch_and_length(memory: Prediction, rows: int, slack: float) -> tuple[int, int] | None:
    """Rows of the largest micro batch, and tokens of the longest rows, that fit; None where there is nothing to search.

    Args:
        memory: What the run needs.
        rows: Rows of the data.
        slack: Of the allocator.
    """
    if memory.capacity is None or memory.problem or memory.verdict(slack) == "does not fit" or not memory.target.gpus:
        return None
    return search.room(memory, lambda job: _again(memory, job), rows, slack, memory.capacity)


def _again(memory: Prediction, job: Job) -> Prediction:
    return predict(job, memory.target, memory.strategy, memory.sizes)

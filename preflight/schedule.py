"""How long the run is: steps, warm-up and checkpoints, by the trainer's own arithmetic."""

import math
from dataclasses import dataclass

from preflight.config import Config

# transformers' get_scheduler passes no warm-up to these.
NO_WARMUP = ("constant", "reduce_lr_on_plateau", "greedy")


@dataclass(frozen=True)
class Schedule:
    """The shape of a run.

    Attributes:
        steps: Optimizer steps of the whole run.
        steps_per_epoch: Optimizer steps of one pass over the data.
        warmup: Steps of warm-up; 0 if there is none or the scheduler ignores it.
        checkpoints: Checkpoints on disk at the same time, at most.
    """

    steps: int
    steps_per_epoch: int
    warmup: int
    checkpoints: int


def schedule_of(config: Config, examples: int) -> Schedule:
    """The schedule of a run over so many examples (or packs).

    Args:
        config: The run's config. `hardware.count` processes are assumed, one if it is not given.
        examples: Rows that the trainer feeds in one epoch.
    """
    value = config.training_value
    batches = math.ceil(examples / (value("per_device_train_batch_size") * max(config.hardware.count or 1, 1)))
    per_epoch = max(math.ceil(batches / value("gradient_accumulation_steps")), 1)
    steps = value("max_steps") if value("max_steps") > 0 else math.ceil(per_epoch * value("num_train_epochs"))
    wanted = value("warmup_steps") or 0
    warmup = math.ceil(wanted * steps) if 0 < wanted < 1 else int(wanted)
    if value("lr_scheduler_type") in NO_WARMUP:
        warmup = 0
    return Schedule(steps, per_epoch, warmup, _checkpoints(config, steps, per_epoch))


def _checkpoints(config: Config, steps: int, per_epoch: int) -> int:
    value = config.training_value
    every = {"no": math.inf, "epoch": per_epoch}.get(value("save_strategy"), value("save_steps"))
    every = every * steps if every < 1 else every
    saves = math.ceil(steps / every) if math.isfinite(every) else 0
    limit = value("save_total_limit")
    return min(saves, limit + 1) if limit else saves  # one more is written before the oldest goes

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
    at_once = value("per_device_train_batch_size") * max(config.hardware.count or 1, 1)
    batches = examples // at_once if value("dataloader_drop_last") else math.ceil(examples / at_once)
    per_epoch = math.ceil(batches / value("gradient_accumulation_steps"))
    steps = value("max_steps") if value("max_steps") >= 0 else math.ceil(per_epoch * value("num_train_epochs"))
    wanted = value("warmup_steps") or 0
    warmup = math.ceil(wanted * steps) if wanted < 1 else int(wanted)
    if value("lr_scheduler_type") in NO_WARMUP:
        warmup = 0
    return Schedule(steps, per_epoch, warmup, _checkpoints(config, steps, per_epoch))


def _checkpoints(config: Config, steps: int, per_epoch: int) -> int:
    """Checkpoints on disk at once, at most. Whatever the interval, one is saved at the end."""
    value = config.training_value
    every = {
        "no": 0,
        "epoch": per_epoch,
        "steps": _interval(value("save_steps"), steps),
        "best": _interval(value("eval_steps") or value("logging_steps"), steps)  # saved after an evaluation, if it is
        if value("eval_strategy") == "steps"
        else per_epoch,
    }[value("save_strategy")]
    saves = math.ceil(steps / every) if every else 0
    limit = value("save_total_limit") or 0
    if limit <= 0:
        return saves
    # One more is written before the oldest goes, and the best one stays beside the newest.
    kept = max(limit, 2) if value("load_best_model_at_end") or value("save_strategy") == "best" else limit
    return min(saves, kept + 1)


def _interval(given: float, steps: int) -> int:
    """Steps between two saves: a number below 1 is a share of the run, and 0 leaves the one at its end."""
    return math.ceil(steps * given) or steps if given < 1 else int(given)

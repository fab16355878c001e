"""Settings of `training` that follow from others: a run that is evaluated ends with its best checkpoint."""

from typing import TYPE_CHECKING, Any

from .libraries import default

if TYPE_CHECKING:
    from preflight.config.model import Config

NAMES = frozenset({"save_strategy", "save_steps", "save_total_limit", "load_best_model_at_end"})
# With one of these the user has said what the best is, or that there shall be none; or an engine keeps the weights in
# parts, of which transformers doesn't load the best in every layout.
LEFT_ALONE = ("load_best_model_at_end", "metric_for_best_model", "save_only_model", "fsdp", "deepspeed")


def derived(config: "Config") -> dict[str, Any]:
    """What takes the place of SFTConfig's defaults: of `NAMES`, none that the config gives.

    Checkpoints are saved when the run is evaluated, two are kept, and the best is loaded at the end. A config that
    saves at other times than it evaluates is left as it is.
    """
    given = config.training
    evaluated = str(given.get("eval_strategy") or "no")
    held_out = config.data.validation_paths or config.data.validation_split
    if not held_out or evaluated not in ("steps", "epoch") or any(given.get(name) is not None for name in LEFT_ALONE):
        return {}
    every = given.get("eval_steps") or given.get("logging_steps") or default("training", "logging_steps")
    best = {"load_best_model_at_end": True}
    saved = given.get("save_strategy")
    if saved is None and "save_steps" not in given:
        times = {"save_steps": every} if evaluated == "steps" else {}
        limit = {} if "save_total_limit" in given else {"save_total_limit": 2}
        return best | {"save_strategy": evaluated} | times | limit
    saved = str(saved or "steps")
    if saved != evaluated:
        return best if saved == "best" else {}
    steps = given.get("save_steps") or default("training", "save_steps")
    together = (steps < 1) == (every < 1) and steps / every % 1 < 1e-9  # below 1 it is a share of the run
    return best if evaluated == "epoch" or together else {}

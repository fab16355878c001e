from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence


@check(
    "CFG-105",
    "learning-rate",
    severity="required",
    section=4,
    item="Must-have: learning rate in 1e-4 to 5e-4",
    thresholds={"low": 1e-4, "high": 5e-4, "full_low": 1e-6, "full_high": 1e-4},
)
def the_learning_rate_is_in_range(config: Config, evidence: Evidence, limits: Any) -> None:
    """The learning rate is in the range for the method.

    What it checks: `training.learning_rate` (or TRL's default) is between 1e-4 and 5e-4 for an adapter, and between
    1e-6 and 1e-4 for full fine-tuning.
    Why it matters: Below it an adapter hardly moves and the run is wasted; above it the loss spikes or turns NaN, or
    the model forgets what it knew.
    How to fix: Set `training.learning_rate: 2.0e-4` for an adapter. A run that needs another rate (70B-class models
    with long schedules) sets `gate.thresholds: {CFG-105: {low: …}}` knowingly; `full_low` and `full_high` are those of
    full fine-tuning.
    Evidence: the checklist's must-have. 85 of 102 published LoRA recipes lie inside; those below are 70B-class, older,
    or not supervised fine-tuning. Full fine-tuning: recipes set 5e-6 to 5e-5.
    """
    rate = float(config.training_value("learning_rate"))
    adapter = config.lora is not None
    low, high = (limits.low, limits.high) if adapter else (limits.full_low, limits.full_high)
    method = "an adapter" if adapter else "full fine-tuning"
    given = "" if "learning_rate" in config.training else " (TRL's default)"
    evidence(f"{rate:g}{given}, {method} takes {low:g} to {high:g}", learning_rate=rate, low=low, high=high)
    if low <= rate <= high:
        return
    small = rate < low
    report_findings(
        [
            Finding(
                f"learning rate {rate:g} is too {'low' if small else 'high'} for {method}",
                where=config.where("training.learning_rate"),
                observed=f"{rate:g}{given}",
                expected=f"{low:g} to {high:g}",
                why="The weights hardly move." if small else "The loss spikes or turns NaN, or the model forgets.",
                fix=f"Set training.learning_rate: {2e-4 if adapter else 2e-5:.1e}.",
            )
        ]
    )

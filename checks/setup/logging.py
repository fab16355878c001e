from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.store import Split
from preflight.fixtures import Evidence
from preflight.schedule import schedule_of


@check("CFG-131", "logging", severity="recommended", section=4, item="Loss tracking")
def the_loss_is_logged_as_it_is(config: Config, train: Split, evidence: Evidence) -> None:
    """The loss is logged on the way, as it is.

    What it checks: `training.logging_steps` against the steps of the run, and `logging_nan_inf_filter`, which
    preflight's trainer switches off unless the config says true.
    Why it matters: Without a logged loss nobody sees a run diverge; with the filter a NaN is logged as the mean of the
    losses before it, and the run goes on with destroyed weights.
    How to fix: Set `training.logging_steps: 10`, and remove `logging_nan_inf_filter`.
    Evidence: transformers' Trainer replaces NaN and infinite losses when the filter is on, its default.
    """
    steps = schedule_of(config, len(train.dataset)).steps
    every, strategy = config.training_value("logging_steps"), str(config.training_value("logging_strategy"))
    filtered = bool(config.training.get("logging_nan_inf_filter", False))
    evidence(f"every {every:g} of {steps} steps", logging_steps=every, steps=steps, filtered=filtered)
    silent = strategy == "no" or (strategy == "steps" and every > steps > 0)
    problems = [
        (silent, "training.logging_steps", "no loss is logged before the end", f"{strategy}, every {every:g} steps",
         f"Set training.logging_steps: {max(steps // 20, 1)}."),
        (filtered, "training.logging_nan_inf_filter", "a NaN is logged as a number", "logging_nan_inf_filter: true",
         "Remove training.logging_nan_inf_filter."),
    ]  # fmt: skip
    report_findings(
        [
            Finding(
                message,
                where=config.where(key),
                observed=observed,
                why="Nobody sees the run diverge.",
                fix=fix,
            )
            for wrong, key, message, observed, fix in problems
            if wrong
        ]
    )

from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.method import rslora_alpha


@check(
    "CFG-113",
    "alpha-fits-rank",
    severity="recommended",
    section=3,
    item="Hyperparameter defaults: alpha",
    thresholds={"low": 0.2, "high": 8.0},
)
def alpha_fits_the_rank(config: Config, evidence: Evidence, limits: Any) -> None:
    """`lora.lora_alpha` scales updates as is usual for this rank.

    What it checks: `lora_alpha / r`, and with `use_rslora` `lora_alpha / sqrt(r)`, between 0.2 and 8.
    Why it matters: The quotient multiplies every update. An order above the usual it acts as a learning rate ten times
    as high; an order below, the adapter hardly moves. rsLoRA with plain LoRA's alpha is the usual way to get there.
    How to fix: Set `lora.lora_alpha` to the number in the finding: twice the rank, or with rsLoRA twice its root.
    Evidence: the checklist's table has 2; published recipes have 0.25 to 4. rsLoRA: Kalajdzievski 2023.
    """
    if config.lora is None:
        not_applicable("full fine-tuning: there is no alpha")
    rank, alpha = int(config.lora_value("r")), float(config.lora_value("lora_alpha"))
    stable = bool(config.lora_value("use_rslora"))
    scale = alpha / (rank**0.5 if stable else rank)
    form = "alpha/sqrt(r)" if stable else "alpha/r"
    evidence(f"{form} {scale:.3g}", alpha=alpha, r=rank, scale=scale, rslora=stable)
    if limits.low <= scale <= limits.high:
        return
    report_findings(
        [
            Finding(
                f"{form} is {scale:.3g}",
                where=config.where("lora.lora_alpha"),
                observed=f"alpha {alpha:g}, r {rank}{', rsLoRA' if stable else ''}",
                expected=f"{limits.low:g} to {limits.high:g}",
                why="The loss spikes." if scale > limits.high else "The adapter hardly moves.",
                fix=f"Set lora.lora_alpha: {rslora_alpha(rank) if stable else 2 * rank}.",
            )
        ]
    )


@check(
    "CFG-114",
    "effective-rate",
    severity="recommended",
    section=4,
    item="Hyperparameter defaults: learning rate",
    thresholds={"low": 1e-5, "high": 2e-3},
)
def the_learning_rate_times_the_scale_is_usual(config: Config, evidence: Evidence, limits: Any) -> None:
    """The learning rate times the adapter's scale is in the usual range.

    What it checks: `training.learning_rate` times `alpha/r` (`alpha/sqrt(r)` with rsLoRA), between 1e-5 and 2e-3.
    Why it matters: Adam's steps don't depend on the size of gradients, so the scale multiplies what a step does to the
    model. Too much and the loss jumps; too little and the outputs stay the base model's.
    How to fix: Lower or raise `training.learning_rate` to the number in the finding, or `lora.lora_alpha` with it.
    Evidence: the extremes of the checklist's table and of published recipes, 1e-4 at 0.25 and 5e-4 at 4, lie inside.
    """
    if config.lora is None:
        not_applicable("full fine-tuning: there is no scale")
    rank, alpha = int(config.lora_value("r")), float(config.lora_value("lora_alpha"))
    scale = alpha / (rank**0.5 if config.lora_value("use_rslora") else rank)
    rate = float(config.training_value("learning_rate"))
    effective = rate * scale
    evidence(f"{rate:g} x {scale:.3g} = {effective:.2g}", learning_rate=rate, scale=scale, effective=effective)
    if limits.low <= effective <= limits.high:
        return
    bound = limits.high if effective > limits.high else limits.low
    report_findings(
        [
            Finding(
                f"the learning rate times the adapter's scale is {effective:.2g}",
                where=config.where("training.learning_rate"),
                observed=f"{rate:g} x {scale:.3g}",
                expected=f"{limits.low:g} to {limits.high:g}",
                why="The loss jumps." if effective > limits.high else "The outputs stay the base model's.",
                fix=f"Set training.learning_rate: {bound / scale:.1e}, or lora.lora_alpha: {2 * rank}.",
            )
        ]
    )


@check(
    "CFG-115",
    "dropout",
    severity="recommended",
    section=3,
    item="Hyperparameter defaults: dropout",
    thresholds={"high": 0.3},
)
def the_adapters_dropout_is_moderate(config: Config, evidence: Evidence, limits: Any) -> None:
    """`lora.lora_dropout` is moderate.

    What it checks: `lora.lora_dropout` is at most 0.3.
    Why it matters: What is dropped of the adapter's input can't be learned from; at 0.5 half of each step is noise.
    How to fix: Set `lora.lora_dropout: 0.05`.
    Evidence: the checklist's table has 0.05 to 0.15; published recipes have 0.05 and 0.
    """
    if config.lora is None:
        not_applicable("full fine-tuning: there is no adapter")
    dropout = float(config.lora_value("lora_dropout"))
    evidence(f"{dropout:g}", dropout=dropout)
    if dropout <= limits.high:
        return
    report_findings(
        [
            Finding(
                f"lora_dropout is {dropout:g}",
                where=config.where("lora.lora_dropout"),
                observed=f"{dropout:g}",
                expected=f"0 to {limits.high:g}",
                why="What is dropped of the adapter's input can't be learned from.",
                fix="Set lora.lora_dropout: 0.05.",
            )
        ]
    )

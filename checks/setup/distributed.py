from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.strategy import Strategy

ITEM = 'Device map: set to "auto" for multi-GPU'


@check("CFG-165", "ddp-checkpointing", severity="required", section=4, item="Gradient checkpointing: enabled")
def checkpointing_goes_with_ddp(config: Config, strategy: Strategy, evidence: Evidence) -> None:
    """Under DDP, gradient checkpointing is not reentrant while unused parameters are searched for.

    What it checks: `use_reentrant: true` in `training.gradient_checkpointing_kwargs`, with several processes, an
    adapter and `ddp_find_unused_parameters`, which transformers switches on for adapters unless the config says false.
    Why it matters: A parameter is marked ready twice; DDP stops the first backward pass. One card never shows it.
    How to fix: Set `gradient_checkpointing_kwargs: {use_reentrant: false}`, or `ddp_find_unused_parameters: false`.
    Evidence: huggingface/peft#313, hiyouga/LlamaFactory#2681, huggingface/trl#480.
    """
    if strategy.kind != "ddp":
        not_applicable("the run is not DDP")
    value = config.training_value
    reentrant = bool(
        value("gradient_checkpointing") and (value("gradient_checkpointing_kwargs") or {}).get("use_reentrant")
    )
    unused = value("ddp_find_unused_parameters")
    searches = config.lora is not None if unused is None else bool(unused)
    evidence(f"{'' if reentrant else 'not '}reentrant", reentrant=reentrant, find_unused_parameters=searches)
    if not (reentrant and searches):
        return
    report_findings(
        [
            Finding(
                "reentrant gradient checkpointing under DDP",
                where=config.where("training.gradient_checkpointing_kwargs"),
                observed="use_reentrant: true, and a search for unused parameters",
                expected="use_reentrant: false",
                why="DDP stops the first backward pass: a parameter is marked ready twice.",
                fix="Set training.gradient_checkpointing_kwargs: {use_reentrant: false}.",
            )
        ]
    )


@check("CFG-166", "equal-shares", severity="recommended", section=4, item=ITEM)
def every_process_gets_validation_rows(
    config: Config, validation: Split, strategy: Strategy, evidence: Evidence
) -> None:
    """With several processes, each gets validation rows.

    What it checks: Validation rows against processes times `per_device_eval_batch_size`.
    Why it matters: A process without rows leaves the others waiting in some stacks, until NCCL's timeout; in the others
    rows are repeated to fill up, and the loss is of few rows.
    How to fix: Hold out as many rows as the finding says, or lower `per_device_eval_batch_size`.
    Evidence: Lightning-AI/pytorch-lightning#20561, huggingface/transformers#37186.
    """
    if strategy.world == 1:
        not_applicable("there is one process")
    if str(config.training_value("eval_strategy")) == "no":
        not_applicable("nothing is evaluated during training; eval_strategy is no")
    rows, at_once = len(validation.dataset), strategy.world * int(config.training_value("per_device_eval_batch_size"))
    evidence(f"{counted(rows, 'row')}, {at_once} at once", rows=rows, at_once=at_once)
    if rows >= at_once:
        return
    report_findings(
        [
            Finding(
                f"{counted(rows, 'validation row')} for {strategy.world} processes",
                where=config.where("training.per_device_eval_batch_size"),
                observed=f"{rows} rows, {at_once} at once",
                expected=f"{at_once} rows or more",
                why="A process without rows leaves the others waiting, or rows count twice.",
                fix=f"Hold out {at_once} rows, or set training.per_device_eval_batch_size: "
                f"{max(rows // strategy.world, 1)}.",
            )
        ]
    )

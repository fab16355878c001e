from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence

# What TRL's SFTTrainer reports of an evaluation, without the prefix `eval_`.
METRICS = ("loss", "entropy", "mean_token_accuracy", "num_tokens", "runtime", "samples_per_second", "steps_per_second")
ITEM = "Evaluation: every epoch if validation set exists"


@check("CFG-123", "saving", severity="recommended", section=4, item="Save strategy: every epoch or N steps")
def checkpoints_are_saved_on_the_way(config: Config, evidence: Evidence) -> None:
    """Checkpoints are saved on the way.

    What it checks: `training.save_strategy` isn't `no`.
    Why it matters: A run that is cut off, by a full disk, a lost machine or a queue's limit, starts from the beginning.
    How to fix: Set `training.save_strategy: epoch`, with `save_total_limit: 2`.
    Evidence: the checklist's training arguments.
    """
    strategy = str(config.training_value("save_strategy"))
    evidence(strategy, save_strategy=strategy)
    if strategy != "no":
        return
    report_findings(
        [
            Finding(
                "no checkpoint is saved before the end",
                where=config.where("training.save_strategy"),
                observed="no",
                expected="epoch, or steps",
                why="A run that is cut off starts from the beginning.",
                fix="Set training.save_strategy: epoch and training.save_total_limit: 2.",
            )
        ]
    )


@check("CFG-124", "evaluating", severity="recommended", section=4, item=ITEM)
def the_run_is_evaluated_if_there_is_validation_data(config: Config, evidence: Evidence) -> None:
    """The run is evaluated on the way, if there is validation data.

    What it checks: `training.eval_strategy` isn't `no`, TRL's default, while `data.validation` or `validation_split` is
    set.
    Why it matters: The training loss falls whether the model learns or memorises; only held-out rows tell them apart.
    How to fix: Set `training.eval_strategy: epoch`.
    Evidence: the checklist's training arguments.
    """
    if not config.data.validation_paths and not config.data.validation_split:
        not_applicable("the config has no validation data")
    strategy = str(config.training_value("eval_strategy"))
    evidence(strategy, eval_strategy=strategy)
    if strategy != "no":
        return
    report_findings(
        [
            Finding(
                "there is validation data, and the run is never evaluated",
                where=config.where("training.eval_strategy"),
                observed="eval_strategy: no" + ("" if "eval_strategy" in config.training else " (the default)"),
                expected="epoch, or steps",
                why="The training loss falls whether the model learns or memorises.",
                fix="Set training.eval_strategy: epoch.",
            )
        ]
    )


@check("CFG-125", "best-model", severity="required", section=4, item=ITEM)
def the_best_model_can_be_told(config: Config, evidence: Evidence) -> None:
    """What the best checkpoint is told by is measured when checkpoints are saved.

    What it checks: `load_best_model_at_end`, `save_strategy: best`, `metric_for_best_model` and schedulers that watch a
    metric, against `eval_strategy`, `save_steps` and `eval_steps`, validation data, and the metrics that TRL reports.
    Why it matters: transformers refuses some combinations at the start; of a metric that is never computed it knows at
    the first save, hours into the run.
    How to fix: Set what the finding says.
    Evidence: transformers' TrainingArguments and `Trainer._determine_best_metric`; TRL's SFTTrainer adds entropy,
    mean_token_accuracy and num_tokens to the loss.
    """
    value = config.training_value
    evaluated, saved = str(value("eval_strategy")), str(value("save_strategy"))
    best = bool(value("load_best_model_at_end"))
    watches = str(value("lr_scheduler_type")) in ("reduce_lr_on_plateau", "greedy")
    if not (best or saved == "best" or watches):
        not_applicable("no metric decides anything")
    held_out = bool(config.data.validation_paths or config.data.validation_split)
    metric = str(value("metric_for_best_model") or "loss").removeprefix("eval_")
    every, saves = value("eval_steps") or value("logging_steps"), value("save_steps")
    evidence(f"{metric}, evaluated {evaluated}, saved {saved}", metric=metric, eval_strategy=evaluated)
    problems = [
        (not held_out, "training.eval_strategy", "there is no validation data", "Set data.validation_split: 0.05."),
        (evaluated == "no", "training.eval_strategy", "the run is never evaluated",
         f"Set training.eval_strategy: {saved if saved in ('epoch', 'steps') else 'epoch'}."),
        (best and saved != "best" and evaluated not in ("no", saved), "training.save_strategy",
         f"it is evaluated by {evaluated} and saved by {saved}", f"Set training.save_strategy: {evaluated}."),
        (best and saved == evaluated == "steps" and (saves / every) % 1 > 1e-9, "training.save_steps",
         f"save_steps {saves:g} is no multiple of eval_steps {every:g}", f"Set training.save_steps: {every:g}."),
        (metric not in METRICS, "training.metric_for_best_model", f"nothing computes {metric}",
         "Set training.metric_for_best_model: eval_loss."),
    ]  # fmt: skip
    report_findings(
        [
            Finding(
                f"the best checkpoint can't be told: {message}",
                where=config.where(key),
                observed=f"eval_strategy {evaluated}, save_strategy {saved}, metric {metric}",
                why="The run stops at its start, or when the first checkpoint is saved.",
                fix=fix,
            )
            for wrong, key, message, fix in problems
            if wrong
        ]
    )

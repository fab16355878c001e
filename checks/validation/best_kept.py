from pathlib import Path

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.evaluation.weights import differing
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.flight.foreign import foreign, state_of

KEY = "training.load_best_model_at_end"


@check("POST-125", "best-was-kept", severity="required", section=6, item="Adapter saved: the best one, not the last")
def the_best_checkpoint_is_what_was_saved(config: Config, evidence: Evidence) -> None:
    """Where the best checkpoint was to be loaded at the end, the saved model is that one.

    What it checks: Every tensor of the output folder against the checkpoint that the newest trainer_state.json calls
    the best. Asked if `load_best_model_at_end` is on, which it is by itself in a run that is evaluated; of a model that
    was trained elsewhere only if the config says so.
    Why it matters: The last adapter has learned the training rows by heart, and is worse on all others.
    How to fix: Copy the weights of the best checkpoint into the output folder.
    Evidence: huggingface/transformers#29078 and huggingface/peft#394 (the last is kept, with a warning at most).
    """
    folder = config.output_dir
    if foreign(config) and "load_best_model_at_end" not in config.training:
        not_applicable(f"the model was trained elsewhere, and the config doesn't say whether with {KEY}")
    if not config.training_value("load_best_model_at_end"):
        not_applicable(f"{KEY} is off: the last is what was to be kept")
    file, state = state_of(folder)
    best = (state or {}).get("best_model_checkpoint")
    if file is None:
        not_applicable("no checkpoint is left to compare with")
    if not isinstance(best, str) or not best:
        not_applicable(f"{file} knows of no best checkpoint")
    checkpoint = folder / Path(best.replace("\\", "/")).name  # the whole folder may have been moved since
    if not any(checkpoint.glob("*.safetensors")):
        not_applicable(f"the best checkpoint, {checkpoint.name}, is gone: nothing to compare with")
    unlike, count = differing(folder, checkpoint)
    evidence(f"{checkpoint.name}, {counted(count, 'tensor')}", best=checkpoint.name, unlike=len(unlike), tensors=count)
    if not unlike:
        return
    report_findings(
        [
            Finding(
                f"the saved model is not that of the best checkpoint, {checkpoint.name}{_but(folder, checkpoint)}",
                where=str(folder),
                observed=f"{len(unlike)} of {counted(count, 'tensor')} differ: {', '.join(unlike[:3])}",
                expected=f"those of {checkpoint.name}, {_metric(state or {})}",
                why="What was best on the validation data is not what will be served.",
                fix=f"Run cp {checkpoint}/*.safetensors {folder}/ and judge it again.",
            )
        ]
    )


def _but(folder: Path, best: Path) -> str:
    """Which checkpoint it is instead, if it is the newest."""
    numbers = {path.name.rpartition("-")[2]: path for path in folder.glob("checkpoint-*") if path != best}
    newest = max(filter(str.isdecimal, numbers), key=int, default=None)
    if newest is None or not any(numbers[newest].glob("*.safetensors")):
        return ""
    return "" if differing(folder, numbers[newest])[0] else f", but that of {numbers[newest].name}"


def _metric(state: dict[str, object]) -> str:
    value = state.get("best_metric")
    return f"whose metric is {value:.4g}" if isinstance(value, int | float) else "which has the best metric"

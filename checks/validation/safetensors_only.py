from pathlib import Path

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence

PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
# What trainers leave beside the weights: of the optimizer, the schedule, random numbers, and their own settings.
NO_WEIGHTS = ("training_args", "optimizer", "scheduler", "scaler", "rng_state", "trainer_state", "tokenizer", "vocab")
CONVERT = (
    "Convert it where you trust its origin: weights = torch.load({old!r}, map_location='cpu', weights_only=True); "
    "safetensors.torch.save_file({{name: value.contiguous().clone() for name, value in weights.items()}}, {new!r}, "
    "metadata={{'format': 'pt'}}); then delete {old}."
)


@check("POST-126", "safetensors-only", severity="required", section=6, item="Adapter saved: safetensors only")
def the_weights_are_saved_as_safetensors_alone(config: Config, evidence: Evidence) -> None:
    """The trained weights are safetensors, and no pickle lies beside them or in their place.

    What it checks: The output folder for weights in .bin, .pt, .pth, .pkl or .ckpt files, and the adapter's or model's
    .safetensors. What trainers keep for resuming, such as training_args.bin and optimizer.pt, and checkpoints are left
    alone.
    Why it matters: A pickle runs the code that it holds when it is loaded; and of two files that hold weights, some
    programs take the one and some the other.
    How to fix: Convert it to safetensors, if you trust its origin, and delete it.
    Evidence: vllm-project/vllm#12366 (a model file that runs code), huggingface/peft#546 and huggingface/peft#1088
    (pickles that peft wrote by default until it made safetensors the default).
    """
    folder = config.output_dir
    good = sorted(path.name for path in folder.glob("*.safetensors"))
    bad = sorted(path for path in folder.glob("*") if path.suffix.lower() in PICKLES and not _no_weights(path))
    evidence(", ".join(good) or "no safetensors", safetensors=good, pickles=[path.name for path in bad])
    report_findings(
        Finding(
            f"{path.name} lies {'beside' if good else 'in place of'} safetensors weights",
            where=str(path),
            observed=f"{path.stat().st_size:,} bytes",
            expected="weights in .safetensors files only",
            why="A pickle runs the code that it holds when it is loaded, and some programs take it before the other.",
            fix=f"Delete {path.name}." if good else CONVERT.format(old=path.name, new=_renamed(path)),
        )
        for path in bad
    )


def _no_weights(path: Path) -> bool:
    return path.name.startswith(NO_WEIGHTS)


def _renamed(path: Path) -> str:
    """The name that loaders look for."""
    return f"{path.stem.replace('pytorch_model', 'model')}.safetensors"

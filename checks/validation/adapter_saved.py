from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.flight.foreign import foreign

ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
COMPANIONS = ("tokenizer.json", "tokenizer_config.json")
CARD = "run-card.json"


@check("POST-101", "adapter-saved", severity="required", section=6, item="Adapter saved; tokenizer saved")
def adapter_tokenizer_and_run_card_are_saved(config: Config, evidence: Evidence) -> None:
    """The output folder holds the adapter, its tokenizer and the run card.

    What it checks: adapter_config.json and adapter_model.safetensors (or model.safetensors for full fine-tuning), the
    tokenizer's files, and run-card.json, which a model that was trained elsewhere need not have.
    Why it matters: An adapter without its tokenizer and template is served with another one and answers in another
    format; without its run card nobody can say how it was made.
    How to fix: Train with `preflight train`, which saves all of them, or copy what is missing; a tokenizer is written
    by its `save_pretrained(folder)`.
    Evidence: the checklist's adapter management; huggingface/peft#1457 (tokenizer not saved with the adapter).
    """
    folder, elsewhere = config.output_dir, foreign(config)
    weights = ADAPTER if config.lora is not None else ()
    wanted = (*weights, *COMPANIONS, *(() if elsewhere else (CARD,)))
    missing = [name for name in wanted if not (folder / name).is_file()]
    if config.lora is None and not any(folder.glob("model*.safetensors")):
        missing.insert(0, "model.safetensors")
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    evidence(f"{size / 2**20:.1f} MiB of weights", bytes=size, missing=missing)
    report_findings(
        Finding(
            f"{name} is missing",
            where=str(folder),
            why="What is served later would not be what was trained.",
            fix=_copy(config, name) if elsewhere else f"Run preflight train {config.path.name}, which saves it.",
        )
        for name in missing
    )


def _copy(config: Config, name: str) -> str:
    """What to do about a file that another program did not save."""
    if name not in COMPANIONS:
        return f"Copy it from the program that trained the model, or run preflight train {config.path.name}."
    source = config.model.tokenizer or config.model.name_or_path
    return f"Save the tokenizer that it trained with, such as that of {source}: tokenizer.save_pretrained(folder)."

"""Runs that our trainer didn't do: their log is in the `trainer_state.json` that transformers' trainer writes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from preflight.config import Config
from preflight.findings import not_applicable, not_available
from preflight.flight.log import Log, read_log

STATE = "trainer_state.json"
OURS = ("run.jsonl", "run-card.json", "run.json")  # what the trainer leaves; one of them is enough to know it
MODELS = ("adapter_config.json", "adapter_model.*", "model*.safetensors", "pytorch_model*.bin")
LOSSES = ("loss", "eval_loss", "train_loss")


def foreign(config: Config) -> bool:
    """Whether the output folder holds a model that another program trained, such as TRL, axolotl or LLaMA-Factory."""
    folder = config.output_dir
    ours = any((folder / name).exists() for name in OURS)
    return not ours and any(any(folder.glob(pattern)) for pattern in MODELS)


def log_of(config: Config) -> Log:
    """The log of the run, whoever did it.

    Raises:
        NotApplicable: another program trained the model and kept no log.
        NotAvailable: our trainer did, or nothing was trained at all; or the log can't be read.
    """
    path = config.output_dir / "run.jsonl"
    if path.is_file():
        return read_log(path)
    if not foreign(config):
        not_available(f"no run log at {path}; run `preflight train {config.path.name}` first")
    file, state = state_of(config.output_dir)
    if file is None:
        not_applicable(
            f"the model was trained elsewhere, and {config.output_dir} has no {STATE}; copy that of the run's last "
            "checkpoint into it, and its losses are judged"
        )
    if state is None:
        not_available(f"{file} can't be read as the JSON object that transformers writes; copy it again")
    log = Log(_records(state), foreign=True)
    if not any(len(log.curve(key)) for key in LOSSES):
        not_applicable(f"the model was trained elsewhere, and {file} has no losses")
    return log


def state_of(folder: Path) -> tuple[Path | None, dict[str, Any] | None]:
    """The newest `trainer_state.json` of an output folder, which lies in it or in a checkpoint, and what it says.

    Returns:
        Its path, or None if there is none; and its content, or None if it can't be read.
    """
    found = [(path, _read(path)) for path in state_files(folder)]
    readable = [(path, state) for path, state in found if state is not None]
    if readable:  # the first of several that are as new: the one in the output folder
        return max(readable, key=lambda pair: _step(pair[1]))
    return (found[0][0], None) if found else (None, None)


def state_files(folder: Path) -> list[Path]:
    """Every `trainer_state.json` of an output folder: its own first, then those of the checkpoints, newest first."""
    steps = {path.parent.name.rpartition("-")[2]: path for path in folder.glob(f"checkpoint-*/{STATE}")}
    own = [folder / STATE] if (folder / STATE).is_file() else []
    return own + [steps[step] for step in sorted(filter(str.isdecimal, steps), key=int, reverse=True)]


def _records(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The logged steps; before them the rows of a batch, which the plan asks for."""
    rows, history = state.get("train_batch_size"), state.get("log_history")
    yield {"step": 0, "rows": rows} if isinstance(rows, int) else {}
    yield from (record for record in (history if isinstance(history, list) else []) if isinstance(record, dict))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        state = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, RecursionError):
        return None
    return state if isinstance(state, dict) else None


def _step(state: dict[str, Any]) -> int:
    step = state.get("global_step")
    return step if isinstance(step, int) else 0

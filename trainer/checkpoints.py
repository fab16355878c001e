"""Whose checkpoints lie in the output folder, and which of them a run may go on from."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

STATE = "run.json"
OURS = ("checkpoint-*", "run.jsonl", "run-card.*", STATE)
# What transformers needs to go on where it stopped; a checkpoint that was cut off lacks the later ones.
NEEDED = ("trainer_state.json", "optimizer.pt", "scheduler.pt")
WEIGHTS = ("adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json")


def claim(output_dir: Path, identity: str) -> None:
    """Make the output folder this run's: keep what an unfinished run of the same clearance left, set aside the rest.

    Args:
        output_dir: The folder.
        identity: What was cleared, as a digest.

    Raises:
        OSError: the folder can't be written to.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    state = _state(output_dir)
    if state.get("clearance") == identity and not state.get("finished"):
        return
    earlier = [path for pattern in OURS for path in output_dir.glob(pattern)]
    if earlier:
        aside = output_dir / "previous" / datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        aside.mkdir(parents=True)
        for path in earlier:
            path.rename(aside / path.name)
    _write(output_dir, {"clearance": identity, "finished": False})


def finish(output_dir: Path) -> None:
    """Note that the run is complete, so that the next one starts afresh."""
    _write(output_dir, {**_state(output_dir), "finished": True})


def last_whole(output_dir: Path) -> Path | None:
    """The newest checkpoint with everything in it that resuming needs; None if there is none."""
    found = [path for path in output_dir.glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    whole = [path for path in found if is_whole(path)]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def is_whole(path: Path) -> bool:
    """Whether a checkpoint was written to its end."""
    if not all((path / name).is_file() for name in NEEDED) or not any((path / name).is_file() for name in WEIGHTS):
        return False
    try:
        json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def _state(output_dir: Path) -> dict[str, object]:
    try:
        return dict(json.loads((output_dir / STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _write(output_dir: Path, state: dict[str, object]) -> None:
    temporary = output_dir / f".{STATE}.{os.getpid()}"
    temporary.write_text(json.dumps(state), encoding="utf-8")
    temporary.replace(output_dir / STATE)

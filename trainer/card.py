"""The run card: how a model was made, for people (`run-card.md`) and programs (`run-card.json`)."""

import json
import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from preflight import machine
from preflight.config import Config
from preflight.config.model import SECRETS
from preflight.data.store import Prepared
from preflight.model.build import effective_training

HIDDEN = {*SECRETS, "output_dir"}  # a run is the same wherever it is written to


def write(
    config: Config, data: Prepared, *, identity: str, seed: int, history: list[dict[str, Any]], started: datetime
) -> None:
    """Write both forms to the output folder.

    Args:
        config: The run's config.
        data: The prepared data that was trained on.
        identity: What was cleared, as a digest.
        seed: The seed in force.
        history: The trainer's log.
        started: When the run, or its last part, began.
    """
    card = {
        "name": config.name,
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "clearance": identity,
        "config": config.resolved(),
        "effective_training": {key: value for key, value in effective_training(config).items() if key not in HIDDEN},
        "data": {"key": data.key, "sources": [dict(source) for source in data.sources]},
        "examples": {name: split.rows for name, split in data.splits.items()},
        "seed": seed,
        "versions": dict(machine.versions()),
        "hardware": hardware(),
        "git": git(config.folder),
        "loss": [[entry["step"], entry["loss"]] for entry in history if "loss" in entry],
        "eval_loss": [[entry["step"], entry["eval_loss"]] for entry in history if "eval_loss" in entry],
    }
    folder = config.output_dir
    text = json.dumps(card, indent=1, ensure_ascii=False, default=str)
    (folder / "run-card.json").write_text(text + "\n", encoding="utf-8")
    (folder / "run-card.md").write_text(markdown(card, config), encoding="utf-8")


def hardware() -> dict[str, Any]:
    """What the run ran on."""
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "gpus": gpus,
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "cores": machine.cores(),
        "platform": machine.environment()["platform"],
    }


def git(folder: Path) -> dict[str, Any]:
    """Commit, tag and whether files differ from it; nulls outside a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    return {
        "commit": commit,
        "tag": _git(folder, "describe", "--tags", "--exact-match") if commit else None,
        "dirty": bool(_git(folder, "status", "--porcelain")) if commit else None,
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def markdown(card: Mapping[str, Any], config: Config) -> str:
    """The card for people."""
    losses, held_out, git_state = card["loss"], card["eval_loss"], card["git"]
    commit = git_state["commit"] or "not in a repository"
    rows = [
        ("Base model", card["config"]["model"]["name_or_path"]),
        ("Data", ", ".join(f"{rows} {split}" for split, rows in card["examples"].items())),
        ("Loss", f"{losses[0][1]:.3f} to {losses[-1][1]:.3f} in {losses[-1][0]} steps" if losses else "not logged"),
        ("Validation loss", f"{held_out[-1][1]:.3f}" if held_out else "not evaluated"),
        ("Seed", card["seed"]),
        ("Git", f"{commit}{' with local changes' if git_state['dirty'] else ''}, tag {git_state['tag'] or 'none'}"),
        ("Clearance", card["clearance"]),
        ("Started", card["started"]),
        ("Finished", card["finished"]),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    settings = "\n".join(f"- `{key}: {value}`" for key, value in card["config"]["training"].items())
    adapter = "\n".join(f"- `{key}: {value}`" for key, value in (config.lora or {}).items()) or "- full fine-tuning"
    versions = "\n".join(f"- {name} {version}" for name, version in card["versions"].items())
    name = config.path.name
    return f"""# {card["name"]}

| | |
| --- | --- |
{table}

## Adapter

{adapter}

## Training

{settings}

## Versions

{versions}

## Make it again

```sh
pytest --preflight {name}
preflight train {name}
pytest --postflight {name}
```
"""

"""The run card: how a model was made, for programs (`run-card.json`) and people (`run-card.md`, and `README.md`)."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from preflight import clearance, driver, machine
from preflight.config import Config
from preflight.config.model import SECRETS
from preflight.data.store import Prepared
from preflight.flight import Log
from preflight.report import curves, document
from preflight.target import local_gpus

from . import model_card

HIDDEN = {*SECRETS, "hub_token", "output_dir"}  # a run is the same wherever it is written to
CURVES = ("loss", "eval_loss", "learning_rate", "grad_norm")


def write(
    config: Config,
    data: Prepared,
    statement: Mapping[str, Any],
    arguments: Any,
    log: Log,
    *,
    started: datetime,
    monitors: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write all forms to the output folder. The `README.md` takes the place of peft's own.

    Args:
        config: The run's config.
        data: The prepared data that was trained on.
        statement: What was cleared.
        arguments: The `SFTConfig` in force.
        log: The run log.
        started: When the run, or its last part, began.
        monitors: What each monitor said at the end: code, name, outcome and summary.
    """
    card = facts(config, data, statement, arguments, log, started=started, monitors=monitors)
    folder = config.output_dir
    document.write(card, folder / "run-card.json")
    (folder / "run-card.md").write_text(model_card.markdown(card), encoding="utf-8")
    (folder / "README.md").write_text(model_card.with_metadata(card), encoding="utf-8")


def facts(
    config: Config,
    data: Prepared,
    statement: Mapping[str, Any],
    arguments: Any,
    log: Log,
    *,
    started: datetime,
    monitors: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """What the card says, as a JSON-able dict; arguments as for `write`."""
    versions, state = dict(machine.versions()), git(config.path)
    hardware = hardware_of_this_run()
    return {
        "name": config.name,
        "started": (curves.first_time(log, before=started) or started).isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "resumed": curves.resumes(log),
        "clearance": clearance.identity(statement),
        "digests": {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]},
        "config": config.resolved(),
        "hub": model_card.hub_facts(config),
        "effective_training": {key: value for key, value in arguments.to_dict().items() if key not in HIDDEN},
        "data": {"key": data.key, "sources": [dict(source) for source in data.sources]},
        "examples": {name: split.rows for name, split in data.splits.items()},
        "seed": arguments.seed,
        "versions": versions,
        "hardware": hardware,
        "git": state,
        "measured": curves.measured(log),
        "best": next(({"step": step, "metric": metric} for step, metric in log.curve("best").points()), None),
        "monitors": [dict(monitor) for monitor in monitors],
        "reproduce": commands(config.path.name, state, versions, hardware),
        **{key: curves.thin(log.curve(key)).points() for key in CURVES},
    }


def hardware_of_this_run() -> dict[str, Any]:
    """What the run ran on; of several nodes, this one."""
    import torch

    processes = int(os.environ.get("WORLD_SIZE", "1"))
    environment = machine.environment()
    return {
        "gpus": [{"name": gpu.name, "memory": gpu.memory} for gpu in local_gpus()[0]],
        "driver": driver.version(),
        "cuda": torch.version.cuda,
        "cores": machine.cores(),
        "memory": machine.memory().total,
        "processes": processes,
        "nodes": processes // int(os.environ.get("LOCAL_WORLD_SIZE", processes)),
        "platform": environment["platform"],
        "python": environment["python"],
    }


def git(path: Path) -> dict[str, Any]:
    """Commit, tag and whether files differ from it, for the repository that the config lies in; nulls outside one.

    Args:
        path: The config.
    """
    commit = _git(path.parent, "rev-parse", "--verify", "HEAD")
    tag = _git(path.parent, "describe", "--tags", "--exact-match") if commit else None
    dirty = bool(_git(path.parent, "status", "--porcelain", "--untracked-files=no")) if commit else None
    kept = bool(_git(path.parent, "ls-files", "--", f":(literal){path.name}")) if commit else None
    return {
        "commit": commit,
        "tag": tag,
        "dirty": dirty,
        "config_tracked": kept,
        "in_words": _in_words(path.parent, commit, tag, dirty, kept),
    }


def _in_words(folder: Path, commit: str | None, tag: str | None, dirty: bool | None, kept: bool | None) -> str:
    if commit is None:
        inside = _git(folder, "rev-parse", "--is-inside-work-tree")
        return "no commit yet" if inside else "the config lies in no git repository"
    notes = [f"commit {commit}", f"tag {tag}" if tag else "no tag"]
    notes += ["files differ from it"] if dirty else []
    notes += [] if kept else ["the config is not in it"]
    return ", ".join(notes)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def commands(
    name: str, state: Mapping[str, Any], versions: Mapping[str, str], hardware: Mapping[str, Any]
) -> list[str]:
    """How to make the model again, from the folder of the config."""
    name = shlex.quote(name)
    pins = [f"{package}=={version.partition('+')[0]}" for package, version in versions.items()]
    processes, nodes = hardware["processes"], hardware["nodes"]
    train = f"preflight train {name}"
    if processes > 1:
        spread = f"--nnodes {nodes} --nproc_per_node {processes // nodes}"
        train = f"torchrun {spread} -m preflight.trainer {name}"
    return [
        *([f"git checkout {state['commit']}"] if state["commit"] else []),
        f"pip install {' '.join(pins)}",
        f"pytest --preflight {name}",
        train,
        f"pytest --postflight {name}",
    ]

"""The gate's side of a rehearsal: start its process, watch it, and read what it left, whatever became of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

from preflight import digests, machine
from preflight.config import Config
from preflight.data.store import Prepared
from preflight.model import build, files
from preflight.rehearsal import facts
from preflight.rehearsal.facts import Failure, Rehearsal
from preflight.rehearsal.plan import Rows
from preflight.target import Target

PATIENCE = {False: 300.0, True: 3600.0}  # seconds, by whether the config asks for it
DISTRIBUTED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")


def rehearse(
    config: Config, prepared: Prepared, rows: Rows, target: Target, *, screen: IO[str] | None = None
) -> Rehearsal:
    """The facts of a rehearsal: those of the last one if nothing has changed since, and it came to its end.

    Args:
        config: The run's config.
        prepared: Its prepared data.
        rows: Those to rehearse on.
        target: The machine.
        screen: Where to show what it is doing.
    """
    folder = config.artefacts("preflight")
    path = folder / "rehearsal.json"
    key = key_of(config, prepared, rows, target)
    with FileLock(folder / ".rehearsal.lock"):
        known = facts.read(path)
        if known and known.key == key and known.phase == "done":
            return known
        job = job_of(config, prepared, rows, key)
        facts.write(job["facts"], path)
        with _scratch(folder) as scratch:
            order = scratch / "job.json"
            order.write_text(json.dumps(job), encoding="utf-8")
            failure = _run(order, path, environment(config), PATIENCE[bool(config.gate.rehearsal)], screen)
        found = facts.read(path)
        if found is None:
            raise RuntimeError(f"{path} is gone, or was damaged while the rehearsal ran")
        if failure is not None and found.failure is None:
            found = replace(found, failure=failure)
            facts.write(asdict(found), path)
        return found


def job_of(config: Config, prepared: Prepared, rows: Rows, key: str) -> dict[str, Any]:
    """What its process is to do: the facts that are known before it starts, and where everything lies."""
    return {
        "facts": asdict(Rehearsal(key, "", False, rows.typical, rows.longest, "starting")),
        "config": str(config.path),
        "artefacts": str(config.artefacts("preflight").parent),
        "prepared": str(prepared.folder),
        "short": rows.short,
        "held_out": list(rows.held_out),
    }


def key_of(config: Config, prepared: Prepared, rows: Rows, target: Target) -> str:
    """A digest of everything that the facts depend on."""
    resolved = config.resolved()
    folder = files.folder_of(config)
    model = [path for path in (folder / "config.json", folder / "generation_config.json") if path.is_file()]
    sources = [*Path(__file__).parent.glob("*.py"), Path(build.__file__)]
    return digests.of_json(
        {
            "run": [resolved[section] for section in ("model", "lora", "quantization", "training")],
            "prepared": prepared.key,
            "rows": asdict(rows),
            "model": digests.of_files([*model, *files.weight_files(config)]),
            "versions": machine.environment(),
            "machine": [machine.cores(), [(card.name, card.memory) for card in target.gpus]],
            "rehearsal": digests.of_files(sources),
        }
    )


def environment(config: Config) -> dict[str, str]:
    """The environment of its process: one process, one card unless the model is spread, and no word to anyone.

    Threads that wait sleep: where others want the processor too, threads that spin made it three times as slow.
    """
    found = {key: value for key, value in os.environ.items() if key not in DISTRIBUTED}
    found |= {"PYTHONSAFEPATH": "1", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "WANDB_MODE": "disabled"}
    found.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not config.model.device_map:
        found["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    return found


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for the checkpoint, which is gone afterwards, as are those of gates that were killed."""
    for stale in folder.glob(".rehearsal-*"):
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".rehearsal-", dir=folder, ignore_cleanup_errors=True) as made:
        yield Path(made)


def _run(order: Path, path: Path, env: Mapping[str, str], patience: float, screen: IO[str] | None) -> Failure | None:
    """Run the process to its end; None if it ended well."""
    command = [sys.executable, "-m", "preflight.rehearsal", str(order), str(path)]
    log = path.with_suffix(".log")
    with log.open("wb") as output, _shown(screen) as show:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(env))
        try:
            code = _wait(process, path, patience, show)
        finally:  # Ctrl-C, among others
            process.kill()
            process.wait()
    if code is None:
        return Failure("timeout", f"it was stopped after {patience / 60:.0f} minutes")
    if code < 0:
        return Failure("killed", signal.Signals(-code).name)
    return Failure("error", _last_line(log)) if code else None


def _wait(process: subprocess.Popen[bytes], path: Path, patience: float, show: Callable[[str], None]) -> int | None:
    """Its exit code; None if it has none after so many seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            return process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            now = facts.read(path)
            show(f"rehearsal: {now.phase}" if now else "rehearsal")
    return None


@contextmanager
def _shown(screen: IO[str] | None) -> Iterator[Callable[[str], None]]:
    """A line on the terminal that is written over; nothing if there is no terminal."""
    from tqdm import tqdm

    shown = screen is not None and screen.isatty()
    with tqdm(total=0, file=screen, leave=False, disable=not shown, bar_format="{desc} ({elapsed})") as line:
        yield line.set_description_str


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][-300:] if said else "it ended without a word"

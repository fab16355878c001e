"""The checks whose results depend on the machine, once more: on the one that trains, in a process of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from preflight.clearance import Refused
from preflight.config import Config
from preflight.driver import LAUNCHER
from preflight.findings import counted
from preflight.verdict import Result

# The question is put to one process: as one of many it would wait for the others. How many train is part of it.
RANKS = {"RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}
OTHERWISE = {"PYTEST_ADDOPTS"}  # options that are meant for other runs of pytest

Process = subprocess.Popen[str]


def start(config: Config) -> Process:
    """Start the machine-bound checks. They re-use the prepared data, and write below the gate's own artefacts."""
    report_of(config).unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if name not in RANKS | OTHERWISE}
    if int(environment.get("WORLD_SIZE", "1")) > 1:
        environment[LAUNCHER] = str(os.getppid())  # what it started beside this process are no strangers on a card
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "preflight", "--preflight", str(config.path), "--preflight-machine"],
        env={**environment, "PYTHONSAFEPATH": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def finish(config: Config, process: Process) -> str:
    """Wait for the verdict, and say in a line what it rests on.

    Raises:
        Refused: it is not green, with what was found in words; or there is none.
    """
    screen, _ = process.communicate()
    report = _read(report_of(config))
    if report is None:
        last = "\n".join(f"  {line}" for line in screen.strip().splitlines()[-10:])
        raise Refused(f"the checks on this machine broke off with exit code {process.returncode}:\n{last}")
    if process.returncode != 0 or report["verdict"] != "green":
        found = "\n".join(f"  {line}" for line in blocking(report)) or f"  {report['why']}"
        more = os.path.relpath(report_of(config).with_suffix(".html"))
        raise Refused(f"this machine does not pass the checks that depend on it:\n{found}\nThe whole report: {more}")
    return f"this machine passes the {counted(len(report['checks']), 'check')} that depend on it"


def report_of(config: Config) -> Path:
    """Where the report of these checks lies."""
    return config.artefacts("preflight") / "machine" / "report.json"


def blocking(report: Mapping[str, Any]) -> Iterator[str]:
    """What blocks, a line each: check and finding, what was seen, and what to do."""
    for check in report["checks"]:
        if not Result(check["code"], check["severity"], check["outcome"]).blocks:
            continue
        label = f"{check['code']} {check['name']}: "
        if not check["findings"]:
            yield label + check["reason"]
        for finding in check["findings"]:
            yield label + ": ".join(finding[key] for key in ("where", "message") if key in finding)
            seen = ", ".join(f"{key} {finding[key]}" for key in ("observed", "expected") if key in finding)
            yield from (f"  {line}" for line in (seen, finding.get("fix")) if line)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None

"""Gate runs in a process of their own, and checks made for a test."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Ran:
    """A finished process: its exit code and all that it printed."""

    code: int
    screen: str


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without what would change how the screen looks."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON"))}
    return {**kept, "COLUMNS": "80", **changes}


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., Ran]:
    """`shell("--preflight", "config.yaml")` runs pytest in the project's folder, in a process of its own."""

    def run(*arguments: str, module: str = "pytest", **variables: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=tmp_path,
            env=environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        return Ran(done.returncode, done.stdout)

    return run


@pytest.fixture
def own_check(project: Any) -> Callable[..., Path]:
    """`own_check("assert False")` puts a check with this body, USER-001 own-check, into the project's own checks."""

    def write(body: str, head: str = "", *, parameters: str = "config", file: str = "own.py", **meta: Any) -> Path:
        given = {"code": "USER-001", "name": "own-check", "severity": "required", "section": 1, "item": "Ours", **meta}
        arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
        text = (
            f"{textwrap.dedent(head)}\nfrom preflight import *\n\n@check({arguments})\ndef ours_holds({parameters}):\n"
        )
        path = project.folder / "my_checks" / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + textwrap.indent(textwrap.dedent(body), "    "), encoding="utf-8")
        project.set(gate={"checks": ["my_checks"], **project.config.get("gate", {})})
        project.write()
        return path

    return write

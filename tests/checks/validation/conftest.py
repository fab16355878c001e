"""A run of the tiny project that the trainer really made, copied for each drill."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from preflight.evaluation.budget import Sampled
from preflight.evaluation.generate import Answer, Reply
from preflight.findings import Found
from preflight.trainer.run import main as train


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Output folders of the runs that were made, by name; each is made once."""
    return {}


@pytest.fixture
def fly(project, runs, tmp_path_factory) -> Callable[..., Any]:
    """Clear and train the project, or take the output folder of the run of that name; returns the project."""

    def flown(name: str, **sections: Any):
        project.set(**sections)
        if name in runs:
            shutil.copytree(runs[name], project.folder / "run")
            return project
        cleared = project.gate()
        assert cleared.code == 0, cleared.screen
        assert train([str(project.folder / "config.yaml")]) == 0
        runs[name] = tmp_path_factory.mktemp(name) / "run"
        shutil.copytree(project.folder / "run", runs[name])
        return project

    return flown


@pytest.fixture
def flown(fly):
    """The project with an adapter that was trained for 8 steps."""
    return fly("lora", training={"max_steps": 8, "save_strategy": "steps", "save_steps": 4})


@pytest.fixture
def judge() -> Callable[..., list[Any]]:
    """Call a check on literal values, with its own thresholds, and return its findings."""

    def findings_of(check: Callable[..., None], limits: dict[str, Any] | None = None, **given: Any) -> list[Any]:
        meta = check.__preflight_check__
        if isinstance(given.get("answers"), list):
            given["answers"] = Sampled(given["answers"], len(given["answers"]))
        if meta.thresholds:
            given["limits"] = SimpleNamespace(**{**meta.thresholds, **(limits or {})})
        try:
            check(evidence=lambda *_, **__: None, **given)
        except Found as found:
            return list(found.findings)
        return []

    return findings_of


@pytest.fixture
def answer() -> Callable[..., Answer]:
    """A literal answer of the tuned model; the base said nothing."""

    def made(tuned: str = "A sound answer.", *, stopped: bool = True, row: int = 0, tokens: int = 5, base: str = ""):
        where = f"validation row {row}"
        return Answer(where, "a prompt", "an answer", tokens, Reply(base, [], False), Reply(tuned, [], stopped))

    return made

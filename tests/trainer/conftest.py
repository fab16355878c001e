"""Runs of the trainer in this process, with or without something planted in them that no gate would let through."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from preflight.config import load_config
from preflight.flight import Log
from preflight.flight.asking import ask_all, monitors_of
from preflight.flight.plan import plan_for

FIRED = ("failed", "warned", "error")


@dataclass(frozen=True)
class Flight:
    """A run that is over."""

    config: Any
    code: int
    screen: str

    @property
    def folder(self) -> Path:
        return self.config.output_dir

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "run.jsonl").read_text().splitlines()]

    @property
    def losses(self) -> list[float]:
        return [record["loss"] for record in self.records if "loss" in record]

    @property
    def fired(self) -> dict[str, str]:
        """What every monitor that is not content says at the end."""
        checks = json.loads((self.folder / "flight" / "report.json").read_text())["checks"]
        return {check["code"]: check["outcome"] for check in checks if check["outcome"] in FIRED}

    def first_fired(self, code: str) -> int:
        """The step at which a monitor fired first."""
        monitors = {code: monitors_of(self.config)[code]}
        log = Log()
        for record in self.records:
            log.add(record)
            if ask_all(self.config, monitors, log, plan_for(self.config, log))[code].outcome in FIRED:
                return int(record["step"])
        raise AssertionError(f"{code} never fired")


@pytest.fixture
def fly(project, monkeypatch, capsys) -> Callable[..., Flight]:
    """`fly(plant)`: prepare the project's data, let `plant(trainer)` do its worst, and train without a gate."""
    from preflight.data.prepare import prepare
    from preflight.model import build
    from preflight.model.tokenizer import load_tokenizer
    from preflight.trainer import run

    made = build.make_trainer

    def train(plant: Callable[[Any], None] | None = None) -> Flight:
        def planted(*arguments: Any, **more: Any) -> Any:
            trainer = made(*arguments, **more)
            if plant:
                plant(trainer)
            return trainer

        monkeypatch.setattr(build, "make_trainer", planted)
        config = load_config(project.write())
        prepare(config, load_tokenizer(config))
        capsys.readouterr()
        run.quiet_libraries()
        code = run.train(config, {"subject": []})
        return Flight(config, code, capsys.readouterr().err)

    return train

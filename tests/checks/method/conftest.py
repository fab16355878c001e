"""Checks on the module trees of real architectures, in tiny: from a config.json alone, without a gate run."""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from preflight.config import load_config
from preflight.findings import Finding, Found, NotApplicable
from preflight.model.modules import module_tree
from preflight.model.precision import precision_of
from preflight.registry import meta_of
from tests.conftest import Project
from tests.zoo import settings_of


class Seen(dict[str, Any]):
    """What a check gave as evidence, with its summary."""

    summary = ""

    def __call__(self, summary: str, **values: Any) -> None:
        self.summary = summary
        self.update(values)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def find(project: Project, seen: Seen) -> Callable[..., list[Finding] | None]:
    """`find(check, "gpt2", lora={...})`: the findings on that model; None if the check is not applicable.

    `lora` replaces the project's section, other sections are changed; `changes` go into the model's config.json.
    """

    def run(
        check: Callable[..., None],
        model: str = "llama",
        changes: dict[str, Any] | None = None,
        thresholds: dict[str, Any] | None = None,
        **sections: Any,
    ) -> list[Finding] | None:
        folder = made(project.folder / "models", model, changes or {})
        if sections.get("lora") is not None:
            project.config["lora"] = sections.pop("lora")
        config = load_config(project.set(model={"name_or_path": str(folder)}, **sections).write())
        tree = module_tree(config)
        arguments = {
            "config": config,
            "module_tree": tree,
            "precision": precision_of(config),
            "evidence": seen,
            "limits": SimpleNamespace(**{**meta_of(check).thresholds, **(thresholds or {})}),
        }
        try:
            check(**{name: arguments[name] for name in inspect.signature(check).parameters})
        except Found as found:
            return list(found.findings)
        except NotApplicable:
            return None
        return []

    return run


def made(folder: Path, model: str, changes: dict[str, Any]) -> Path:
    folder = folder / model
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings_of(model)
    for key, value in changes.items():
        setattr(settings, key, value)
    settings.to_json_file(folder / "config.json")
    return folder

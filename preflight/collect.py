"""Collection: a folder of check functions becomes one pytest item a check."""

import importlib
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from preflight import registry
from preflight.registry import Check


class CheckItem(pytest.Function):
    """An ordinary pytest function that shows itself as the claim it checks."""

    check: Check

    def __repr__(self) -> str:
        return f"<{self.check.code} {self.check.claim}>"

    def reportinfo(self) -> tuple[Path, int | None, str]:
        path, line, _ = super().reportinfo()
        return Path(path), line, f"{self.check.code} {self.check.claim}"


class CheckFile(pytest.Module):
    """A file of checks; collects the decorated functions and nothing else, whatever they are called."""

    load: Callable[[], ModuleType]

    def _getobj(self) -> ModuleType:
        # Private in pytest, and the one way to collect the module object that the registry holds: assigning `obj`
        # would drop a module's `pytestmark`, and importing by path would give every check a second identity.
        return self.load()

    def istestfunction(self, obj: object, name: str) -> bool:
        return False

    def istestclass(self, obj: object, name: str) -> bool:
        return False


def check_file(parent: pytest.Collector, path: Path, shipped: Path) -> CheckFile:
    """The collector of one file, shipped or the user's own.

    The node id of a shipped file is `checks/<file>` wherever the package is installed.
    """
    if path.is_relative_to(shipped):
        inside = path.relative_to(shipped)
        name = ".".join(("preflight.checks", *inside.with_suffix("").parts))
        file: CheckFile = CheckFile.from_parent(parent, path=path, nodeid=f"checks/{inside.as_posix()}")
        file.load = lambda: importlib.import_module(name)
        return file
    file = CheckFile.from_parent(parent, path=path)
    file.load = lambda: registry.load_file(path)
    return file


def make_item(collector: CheckFile, name: str, obj: Any, codes: Container[str]) -> CheckItem | None:
    """The item of a decorated function that the file itself defines; None if its code is not one of `codes`."""
    meta = registry.meta_of(obj)
    if meta is None or meta.code not in codes or meta.module != collector.obj.__name__:
        return None
    item: CheckItem = CheckItem.from_parent(collector, name=name, callobj=obj)
    item.check = meta
    item.extra_keyword_matches.update((meta.code, meta.name))
    # A user's `-W error` must not turn a deprecation inside transformers into a broken check.
    item.add_marker(pytest.mark.filterwarnings("ignore"))
    item.add_marker(pytest.mark.preflight(code=meta.code, name=meta.name, severity=meta.severity, section=meta.section))
    return item


def shadowed(item: CheckItem, owners: Mapping[str, ModuleType]) -> Iterator[str]:
    """Fixtures that the check would be given, directly or through another, in the place of their owners'.

    Asked before anything is set up: a fixture that an ordinary test has set up already is not set up again.
    """
    for name, definitions in item._fixtureinfo.name2fixturedefs.items():  # private in pytest
        function = definitions[-1].func
        if name in owners and getattr(function, "__globals__", None) is not vars(owners[name]):
            yield f"{name} ({function.__module__})"

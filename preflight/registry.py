"""The registry of checks: every function under `checks/` that carries `@check(...)`."""

import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Literal, TypeVar, get_args

from preflight.findings import Severity

Stage = Literal["preflight", "postflight"]
F = TypeVar("F", bound=Callable[..., None])
Expect = Callable[[Any], list[Any]]

SECTIONS: Mapping[int, str] = MappingProxyType(
    {
        0: "The gate itself",
        1: "Data preparation",
        2: "Hardware assessment",
        3: "Configuration selection",
        4: "Training setup",
        5: "During training",
        6: "Post-training validation",
        7: "Deployment",
    }
)
HEADINGS = ("What it checks", "Why it matters", "How to fix", "Evidence")
CODE = re.compile(r"(DATA|TOK|CFG|HW|ENV|RUN|POST|DEP|META|USER)-[0-9]{3}")
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
ATTRIBUTE = "__preflight_check__"
# Fixtures that say something of the machine that trains: what asks for one of them is judged there again.
OF_THE_MACHINE = frozenset({"target", "strategy", "memory"})
# Fixtures that are there while a run goes on: a check of the run log that asks for no others is a monitor.
OF_THE_RUN = frozenset({"run_log", "plan", "evidence", "limits"})


class RegistryError(Exception):
    """Checks that can't be loaded: a duplicate code, a malformed one, a user file that fails to import."""


@dataclass(frozen=True, slots=True)
class Check:
    """One item of the checklist; what `@check` attaches to the function.

    Attributes:
        code: Stable id, area and three digits. Never reused.
        name: Readable name beside the code.
        severity: `required` blocks, `recommended` warns, `advice` never blocks. The config may change it.
        section: The checklist's section, a key of `SECTIONS`.
        item: The checklist's line that this check judges.
        stage: `preflight` for sections 0 to 4, `postflight` for 5 to 7.
        waivable: False for what makes the run learn nothing whoever signs for it.
        thresholds: Default limits by name; `gate.thresholds` in the config overrides them.
        function: The check itself, an ordinary pytest function.
        expect: Makes its Great Expectations expectations on the profile of the training data, from its limits.
        machine: Whether its result depends on the machine that trains; the trainer asks again there, before it starts.
    """

    code: str
    name: str
    severity: Severity
    section: int
    item: str
    stage: Stage
    waivable: bool
    function: Callable[..., None]
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    expect: Expect | None = None
    machine: bool = False

    @property
    def claim(self) -> str:
        """The claim that must hold, read off the function's name."""
        return self.function.__name__.replace("_", " ")

    @property
    def asks(self) -> frozenset[str]:
        """The fixtures it asks for."""
        return frozenset(inspect.signature(self.function).parameters)

    @property
    def is_monitor(self) -> bool:
        """Whether the trainer asks it while the run goes on: it judges the run log, and needs nothing else."""
        return "run_log" in self.asks <= OF_THE_RUN

    @property
    def module(self) -> str:
        return self.function.__module__

    @property
    def path(self) -> Path:
        return Path(inspect.getfile(self.function))

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def docs(self) -> dict[str, str]:
        """The docstring's headed paragraphs, by heading."""
        text = inspect.getdoc(self.function) or ""
        parts = re.split(rf"^({'|'.join(HEADINGS)}):[ \t]*", text, flags=re.MULTILINE)
        return {head: inspect.cleandoc(body) for head, body in zip(parts[1::2], parts[2::2], strict=True)}

    @property
    def order(self) -> tuple[int, str]:
        """The checklist's order; what is about the gate itself comes last."""
        return (self.section or max(SECTIONS) + 1, self.code)


def check(
    code: str,
    name: str,
    *,
    severity: Severity,
    section: int,
    item: str,
    stage: Stage | None = None,
    waivable: bool = True,
    thresholds: Mapping[str, Any] | None = None,
    expect: Expect | None = None,
    machine: bool | None = None,
) -> Callable[[F], F]:
    """Declare a pytest function to be a check of the checklist.

    Args:
        code: Area and three digits, for example `DATA-104`; `USER-` is for users' own checks.
        name: Readable name, for example `no-duplicates`.
        severity: `required`, `recommended` or `advice`.
        section: Section of the checklist, 1 to 7; 0 is about the gate itself.
        item: The checklist's line.
        stage: When it runs; by default what the section says.
        waivable: Whether a waiver can accept its findings.
        thresholds: Default limits by name, readable in the check through the `limits` fixture.
        expect: A function of the limits that makes Great Expectations expectations on the profile of the training data.
            They are validated with those of all other checks; the check reads what became of them in `expected`.
        machine: Whether the result depends on the machine that trains; by default, if a fixture of that machine is
            among its own (`OF_THE_MACHINE`).

    Raises:
        RegistryError: one of them is malformed or unknown, or what is declared is not a plain function.
    """
    if not CODE.fullmatch(code):
        raise RegistryError(f"{code!r} is not a code: an area such as DATA, a dash and three digits")
    if not NAME.fullmatch(name):
        raise RegistryError(f"{code}: {name!r} is not a name: lower-case words joined by dashes")
    if severity not in get_args(Severity):
        raise RegistryError(f"{code}: there is no severity {severity!r}; there are {', '.join(get_args(Severity))}")
    if section not in SECTIONS:
        raise RegistryError(f"{code}: there is no section {section}; sections are {', '.join(map(str, SECTIONS))}")
    if stage not in (None, *get_args(Stage)):
        raise RegistryError(f"{code}: there is no stage {stage!r}; there are {', '.join(get_args(Stage))}")

    def attach(function: F) -> F:
        waits = inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function)
        if not inspect.isfunction(function) or waits:
            raise RegistryError(f"{code}: a check is a plain function, {function!r} is not")
        asked = set(inspect.signature(function).parameters)
        if expect is not None and "expected" not in asked:
            raise RegistryError(f"{code}: expect= is of no use unless the check reads `expected`; make it a parameter")
        meta = Check(
            code=code,
            name=name,
            severity=severity,
            section=section,
            item=item,
            stage=stage or ("preflight" if section <= 4 else "postflight"),
            waivable=waivable,
            function=function,
            thresholds=MappingProxyType(dict(thresholds or {})),
            expect=expect,
            machine=not asked.isdisjoint(OF_THE_MACHINE) if machine is None else machine,
        )
        setattr(function, ATTRIBUTE, meta)
        return function

    return attach


def meta_of(obj: Any) -> Check | None:
    """The metadata of a check function; None for anything else."""
    meta = getattr(obj, ATTRIBUTE, None)
    return meta if isinstance(meta, Check) else None


def checks_in(module: ModuleType) -> list[Check]:
    """The checks that a module defines itself, not those it imports."""
    metas = map(meta_of, vars(module).values())
    return [meta for meta in metas if meta and meta.module == module.__name__]


def package_folder() -> Path:
    """Where the shipped checks are installed."""
    package = importlib.import_module("preflight.checks")
    return Path(next(iter(package.__path__)))


@cache
def shipped() -> Mapping[str, Check]:
    """Every check of the package by code, in the checklist's order.

    Raises:
        RegistryError: two checks share a code or a name.
    """
    package = importlib.import_module("preflight.checks")
    modules = [importlib.import_module(m.name) for m in pkgutil.walk_packages(package.__path__, "preflight.checks.")]
    return _by_code(meta for module in modules for meta in checks_in(module))


def load(user_paths: Iterable[Path] = ()) -> Mapping[str, Check]:
    """Shipped checks and the user's own, by code, in the checklist's order.

    Args:
        user_paths: Files, or folders of `.py` files, that hold checks with `USER-` codes.

    Raises:
        RegistryError: a path doesn't exist, a file fails to import, or codes clash.
    """
    own = [meta for path in user_files(user_paths) for meta in checks_in(load_file(path))]
    for meta in own:
        if not meta.code.startswith("USER-"):
            raise RegistryError(f"{meta.path}: {meta.code} is one of preflight's codes; own checks are USER-001 and up")
    return _by_code([*shipped().values(), *own])


def user_files(paths: Iterable[Path]) -> list[Path]:
    """The Python files behind `gate.checks`."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise RegistryError(f"gate.checks: {path} does not exist")
        found = sorted(p for p in path.rglob("*.py") if p.name != "conftest.py") if path.is_dir() else [path]
        if not found:
            raise RegistryError(f"gate.checks: {path} holds no .py file")
        files += found
    return list(dict.fromkeys(files))


def load_file(path: Path) -> ModuleType:
    """Import a user's file once, under a name that no package can have."""
    name = f"preflight_user_checks_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RegistryError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() and pytest.skip() are no Exceptions
        del sys.modules[name]
        kind = "" if isinstance(error, RegistryError) else f"{type(error).__name__}: "
        raise RegistryError(f"{path}: {kind}{error}") from error
    return module


def _by_code(metas: Iterable[Check]) -> Mapping[str, Check]:
    found: dict[str, Check] = {}
    names: dict[str, Check] = {}
    for meta in sorted(metas, key=lambda meta: meta.order):
        if meta.code in found:
            raise RegistryError(f"{meta.code} stands twice: {found[meta.code].path} and {meta.path}")
        if other := names.get(meta.name):
            places = " and ".join(f"{each.code} in {each.path}" for each in (other, meta))
            raise RegistryError(f"the name {meta.name!r} stands twice: {places}")
        found[meta.code] = meta
        names[meta.name] = meta
    return MappingProxyType(found)

"""Promises that every shipped check keeps, and who may import whom."""

import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from preflight.registry import CODE, HEADINGS, SECTIONS, shipped
from preflight.report.terminal import LABEL

ROOT = Path(__file__).parent.parent
CHECKS = shipped()
# A check that is lost, or found twice, must not go unnoticed: counted in the sources, not through the registry.
COUNT = sum(path.read_text(encoding="utf-8").count("\n@check(") for path in (ROOT / "checks").rglob("*.py"))
HEAVY = ("torch", "transformers", "datasets", "great_expectations", "trl", "peft", "accelerate", "bitsandbytes")
AREAS = {  # which codes belong to which section of the checklist
    "DATA": {1},
    "TOK": {1, 4},
    "CFG": {3, 4},
    "HW": {2},
    "ENV": {2, 4},
    "RUN": {4, 5},
    "POST": {6},
    "DEP": {7},
    "META": {0},
}

every_check = pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
files = sorted(path for path in (ROOT / "checks").rglob("*.py") if path.name != "__init__.py")
every_file = pytest.mark.parametrize("file", files, ids=lambda file: file.relative_to(ROOT / "checks").as_posix())


def test_every_check_is_there_once():
    assert len(CHECKS) == COUNT
    assert COUNT >= 35
    assert not [name for name, count in Counter(check.name for check in CHECKS.values()).items() if count > 1]
    assert not [claim for claim, count in Counter(check.claim for check in CHECKS.values()).items() if count > 1]
    assert not [text for text, count in Counter(check.summary for check in CHECKS.values()).items() if count > 1]


def test_the_packages_of_the_checks_are_all_installed():
    """A folder that pyproject.toml forgets is missing from the wheel."""
    import tomllib

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {".".join(("preflight", *file.parent.relative_to(ROOT).parts)) for file in files}

    assert folders <= set(declared)


@every_check
def test_codes_and_sections_follow_the_contract(check):
    assert CODE.fullmatch(check.code)
    assert check.section in SECTIONS
    assert check.section in AREAS[check.code.partition("-")[0]]
    assert check.stage == ("preflight" if check.section <= 4 else "postflight")
    assert check.item.strip()
    assert len(f"{check.code} {check.name}") < LABEL + 1, "the name does not fit the screen"


@every_check
def test_a_check_explains_itself(check):
    """The docstring is its page: a summary, and four headed paragraphs in order."""
    assert re.fullmatch(r"[A-Z`].*\.", check.summary), check.summary
    assert len(check.summary) <= 110
    assert tuple(check.docs) == HEADINGS
    assert all(len(text) > 15 for text in check.docs.values())


@every_check
def test_a_check_is_named_as_the_claim_that_must_hold(check):
    words = check.claim.split()

    assert len(words) >= 3
    assert not {"test", "check", "checks"} & set(words)
    assert check.claim == check.claim.lower()


def test_what_makes_a_run_learn_nothing_cannot_be_waived():
    unwaivable = {code for code, check in CHECKS.items() if not check.waivable}

    assert {"DATA-100", "DATA-140", "CFG-102", "CFG-110"} <= unwaivable
    assert all(CHECKS[code].severity == "required" for code in unwaivable)


@every_file
def test_a_file_of_checks_is_short(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) < 140
    assert [check for check in CHECKS.values() if check.path.samefile(file)], "a file without a check"


@every_check
def test_a_check_is_tested(check):
    """The tests of a folder of checks lie in a folder of the same name, and name every code."""
    tests = ROOT / "tests" / "checks" / check.path.parent.name

    assert any(check.code in file.read_text(encoding="utf-8") for file in tests.glob("test_*.py"))


# --- who may import whom ----------------------------------------------------------------------------------------------


def imports(file):
    """Every name that a file imports anywhere in it, as it is called once installed."""
    folder = file.relative_to(ROOT).parent.parts
    package = folder if folder[0] == "preflight" else ("preflight", *folder)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{name.name}" for name in node.names)


def offenders(folder, *forbidden, least):
    """`file imports module` for each forbidden import; the folder must hold as many files as it should."""
    found = sorted((ROOT / folder).rglob("*.py"))
    assert len(found) >= least, "files are missing: what was judged is not the code"
    return [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in found
        for module in imports(file)
        if any(module == name or module.startswith(f"{name}.") for name in forbidden)
    ]


def test_the_gate_knows_neither_checks_nor_trainer():
    assert offenders("preflight", "preflight.checks", "preflight.trainer", "checks", "trainer", least=45) == []


def test_checks_and_trainer_do_not_know_each_other():
    assert offenders("checks", "preflight.trainer", "trainer", "checks", least=30) == []
    assert offenders("trainer", "preflight.checks", "checks", "trainer", least=5) == []


@every_file
def test_a_check_rests_on_the_gate_alone(file):
    """No check imports another, not even by a helper: what two of them need lives in `preflight`."""
    assert not [module for module in imports(file) if module.startswith("preflight.checks")]


def test_importing_every_check_imports_nothing_heavy():
    """The controller of every gate run imports all of them before the first line is printed."""
    code = (
        "import json, sys, preflight.session, preflight.plugin; from preflight.registry import shipped; shipped();"
        f"print(json.dumps([len(shipped()), sorted(set({HEAVY!r}) & set(sys.modules))]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )

    assert json.loads(done.stdout) == [COUNT, []]

"""Start a new check: its file, its test, and what to do next.

    python scripts/add_check.py DATA-160 no-empty-answers --section data_quality --severity recommended

What it writes says what is still missing: the check raises `NotImplementedError`, which makes every gate run red, and
its test fails until there is a row that fires.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
AREAS = ("DATA", "TOK", "CFG", "HW", "ENV", "RUN", "POST", "DEP", "META")
CODE = re.compile(rf"({'|'.join(AREAS)})-(\d{{3}})")
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# The folder of each section of the checklist, and the section's number.
SECTIONS = {"meta": 0, "data_quality": 1, "data_format": 1, "hardware": 2, "method": 3, "setup": 4}
SECTIONS |= {"flight": 5, "validation": 6, "deployment": 7}

CHECK = '''\
from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence


@check(
    "{code}",
    "{name}",
    severity="{severity}",
    section={section},
    item="TODO: the line of the checklist that this judges",
)
def {function}(config: Config, evidence: Evidence) -> None:
    """TODO: one sentence that says what must hold. Rename the function to say the same.

    What it checks: TODO
    Why it matters: TODO: what goes wrong without it.
    How to fix: TODO: an imperative, with the number to use.
    Evidence: TODO: where it went wrong before, and where the threshold comes from.
    """
    evidence("TODO: what was seen, in a few words", seen=0)
    raise NotImplementedError("{code} is not written yet")
    report_findings([Finding("TODO: what is wrong", where=config.where("training"), why="TODO", fix="TODO")])
'''

TEST = '''\
"""{code}: TODO what is told apart."""

import pytest


@pytest.mark.parametrize(
    "change, outcome",
    [
        pytest.param({{}}, "passed", id="the sound project"),
        pytest.param({{"training": {{"TODO": "a setting that should fire"}}}}, "{outcome}", id="TODO"),
    ],
)
def test_{function}(project, expect, change, outcome):
    project.set(**change)

    findings = expect("{code}", outcome{stage})

    assert bool(findings) is (outcome != "passed")
'''


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Write check and test, and return 0; 1 if that can't be."""
    parser = argparse.ArgumentParser(description="Start a new check.")
    parser.add_argument("code", help=f"area ({', '.join(AREAS)}), a dash and three digits")
    parser.add_argument("name", help="short, in lower case, with dashes: no-empty-answers")
    parser.add_argument("--section", required=True, choices=SECTIONS, help="folder below checks/")
    parser.add_argument("--severity", required=True, choices=("required", "recommended", "advice"))
    arguments = parser.parse_args(argv)
    file = f"{arguments.name.replace('-', '_')}.py"
    check = root / "checks" / arguments.section / file
    test = root / "tests" / "checks" / arguments.section / f"test_{file}"
    if problem := next(refusals(arguments.code, arguments.name, check, test, root), None):
        print(f"add_check: {problem}", file=sys.stderr)
        return 1
    section = SECTIONS[arguments.section]
    words = {
        "code": arguments.code,
        "name": arguments.name,
        "severity": arguments.severity,
        "section": section,
        "function": check.stem,
        "outcome": "failed" if arguments.severity == "required" else "warned",
        "stage": "" if section <= 4 else ', stage="postflight"',
    }
    test.parent.mkdir(parents=True, exist_ok=True)
    check.write_text(CHECK.format(**words), encoding="utf-8")
    test.write_text(TEST.format(**words), encoding="utf-8")
    print(
        f"1. Write the check: {check.relative_to(root)}\n"
        f"2. Write its test, rows that fire and rows that stay silent: {test.relative_to(root)}\n"
        f"     pytest {test.relative_to(root)}\n"
        "3. Write its page, and see everything green:\n"
        "     python scripts/docs.py && ruff check && ruff format && mypy && pytest"
    )
    return 0


def refusals(code: str, name: str, check: Path, test: Path, root: Path) -> Iterator[str]:
    """Why this code and name can't be a new check; the first one is the one to say."""
    match = CODE.fullmatch(code)
    if code.startswith("USER-"):
        yield "USER- codes are for users' own checks, which live in their own projects"
    if match is None:
        yield f"{code} is not a code: one of {', '.join(AREAS)}, a dash and three digits"
        return
    if not NAME.fullmatch(name):
        yield f"{name} is not a name: lower case and dashes, such as no-empty-answers"
    if not (check.parent / "__init__.py").is_file():
        folder = check.parent.relative_to(root)
        yield f"there is no {folder}/__init__.py; make it, and name the package in pyproject.toml"
    codes = dict(declared(root / "checks"))
    if code in codes:
        numbers = [int(other[-3:]) for other in codes if other.startswith(match[1])]
        yield f"{code} is taken by {codes[code]}; the next free one is {match[1]}-{max(numbers) + 1:03}"
    for other, taken in codes.items():
        if name == taken:
            yield f"the name {name} is taken by {other}"
    for path in (check, test):
        if path.exists():
            yield f"{path.relative_to(root)} is there already"


def declared(checks: Path) -> Iterator[tuple[str, str]]:
    """Code and name of every check below a folder, read from the sources."""
    for path in sorted(checks.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check":
                code, name = (argument.value for argument in node.args[:2] if isinstance(argument, ast.Constant))
                yield str(code), str(name)


if __name__ == "__main__":
    sys.exit(main())

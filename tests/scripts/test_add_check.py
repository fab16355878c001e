"""`scripts/add_check.py`, on a copy of the repository's folders: it scaffolds, refuses, and what it wrote blocks."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ARGUMENTS = ["DATA-990", "no-empty-answers", "--section", "data_quality", "--severity", "recommended"]


@pytest.fixture(scope="module")
def add_check():
    spec = importlib.util.spec_from_file_location("add_check", ROOT / "scripts" / "add_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path):
    """The folders that it writes to, copied."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "checks", tmp_path / "checks", ignore=ignore)
    (tmp_path / "tests").mkdir()
    return tmp_path


@pytest.fixture
def run(add_check, copy, capsys):
    """Run it on the copy; returns exit code and what it complains about."""
    return lambda *arguments: (add_check.main(list(arguments), copy), capsys.readouterr().err)


def test_it_writes_a_check_and_its_test_and_says_what_is_next(add_check, copy, capsys):
    assert add_check.main(ARGUMENTS, copy) == 0

    said = capsys.readouterr().out
    assert [line[:2] for line in said.splitlines() if line[0].isdigit()] == ["1.", "2.", "3."]
    for path in ("checks/data_quality/no_empty_answers.py", "tests/checks/data_quality/test_no_empty_answers.py"):
        assert (copy / path).is_file()
        assert path in said


def test_what_it_wrote_is_a_check_with_all_headings(add_check, copy):
    from preflight.registry import HEADINGS, checks_in, load_file

    add_check.main(ARGUMENTS, copy)
    (meta,) = checks_in(load_file(copy / "checks" / "data_quality" / "no_empty_answers.py"))

    assert (meta.code, meta.name, meta.severity, meta.section) == ("DATA-990", "no-empty-answers", "recommended", 1)
    assert tuple(meta.docs) == HEADINGS
    with pytest.raises(NotImplementedError):
        meta.function(None, lambda summary, **values: None)


@pytest.mark.skipif(shutil.which("ruff", path=Path(sys.executable).parent) is None, reason="ruff is not installed")
def test_what_it_wrote_passes_ruff(add_check, copy):
    add_check.main(ARGUMENTS, copy)
    ruff = Path(sys.executable).parent / "ruff"
    new = ["checks/data_quality/no_empty_answers.py", "tests/checks/data_quality/test_no_empty_answers.py"]
    for command in (["check"], ["format", "--check"]):
        arguments = [ruff, *command, "--no-cache", "--config", ROOT / "pyproject.toml", *new]
        run = subprocess.run(arguments, cwd=copy, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    "code, name, said",
    [
        ("DATA-104", "something-new", "DATA-104 is taken by no-duplicates; the next free one is DATA-"),
        ("DATA-990", "no-duplicates", "the name no-duplicates is taken by DATA-104"),
        ("DATA-99", "something-new", "DATA-99 is not a code"),
        ("XYZ-100", "something-new", "XYZ-100 is not a code"),
        ("data-990", "something-new", "data-990 is not a code"),
        ("USER-001", "something-new", "USER- codes are for users' own checks"),
        ("DATA-990", "Something New", "is not a name"),
        ("DATA-990", "something/new", "is not a name"),
        ("DATA-990", "duplicates", "checks/data_quality/duplicates.py is there already"),
    ],
)
def test_what_is_taken_or_malformed_is_refused(run, copy, code, name, said):
    before = sorted(copy.rglob("*"))

    status, error = run(code, name, *ARGUMENTS[2:])
    assert status == 1
    assert said in error
    assert sorted(copy.rglob("*")) == before


def test_twice_is_refused(run):
    assert run(*ARGUMENTS)[0] == 0
    status, error = run(*ARGUMENTS)
    assert status == 1
    assert "DATA-990 is taken by no-empty-answers; the next free one is DATA-991" in error


def test_an_unwritten_check_keeps_every_gate_red(add_check, copy, project):
    """The gate of a repository with a new check in it, run as its own process."""
    add_check.main(ARGUMENTS, copy)
    site = copy / "site"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "preflight", site / "preflight", ignore=ignore)
    shutil.copytree(copy / "checks", site / "preflight" / "checks", ignore=ignore)
    shutil.copytree(ROOT / "trainer", site / "preflight" / "trainer", ignore=ignore)
    command = [sys.executable, "-m", "pytest", "--preflight", str(project.write()), "-k", "DATA-990"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    run = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=project.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stdout
    assert "DATA-990 is not written yet" in run.stdout

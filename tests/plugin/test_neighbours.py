"""The plugin beside the user's own tests, folders and pytest settings."""

import sys
import types

import pytest

HEAVY = ("torch", "transformers", "datasets", "great_expectations", "pydantic", "trl", "peft", "ruamel", "pandas")


def test_an_ordinary_run_imports_nothing_heavy(shell, tmp_path):
    """The entry point is imported by every pytest run of the environment: it must cost next to nothing."""
    (tmp_path / "test_mine.py").write_text(
        f"import sys\n\ndef test_imports():\n    assert 'preflight.plugin' in sys.modules\n"
        f"    assert not set({HEAVY!r}) & set(sys.modules)\n"
        f"    assert not [name for name in sys.modules if name.startswith('preflight.session')]\n"
    )

    ran = shell("-q", "-p", "no:hypothesispytest")

    assert ran.code == 0, ran.screen


def test_tests_in_the_same_run_look_as_they_always_do(project):
    project.text("def test_good():\n    pass\n\ndef test_bad():\n    assert 1 == 2\n", "test_red.py")

    run = project.gate("test_red.py", "-k", "CFG-105 or test_")

    assert "test_red.py .F" in run.screen
    assert "E       assert 1 == 2" in run.screen
    assert "FAILED test_red.py::test_bad" in run.screen
    assert "2 other tests: 1 passed, 1 failed" in run.screen
    assert (run.code, run.report["verdict"]) == (1, "red")
    assert run.report["why"] == "other tests of this run failed"


def test_good_tests_do_not_stand_in_the_way(project):
    project.text("def test_good():\n    pass\n", "test_green.py")

    run = project.gate("test_green.py")

    assert (run.code, run.report["verdict"]) == (0, "green"), run.screen
    assert "1 other test: 1 passed" in run.screen


def test_a_test_file_that_cannot_be_imported_is_shown(project):
    project.text("import no_such_module_here\n", "test_lost.py")

    run = project.gate("test_lost.py")

    assert run.code == 2
    assert "No module named 'no_such_module_here'" in run.screen
    assert run.report["verdict"] == "red"


def test_testpaths_of_the_user_do_not_join_the_gate(project, shell):
    project.text("def test_bad():\n    assert False\n", "test_mine.py")
    project.text("[pytest]\ntestpaths = .\n", "pytest.ini")

    ran = shell("--preflight", "config.yaml", "-k", "CFG-105 or test_bad")

    assert ran.code == 0, ran.screen
    assert "test_mine" not in ran.screen


@pytest.fixture
def lookalikes(project):
    """A repository with `checks/` and `trainer/` of its own, which `python -m pytest` puts first on the path."""
    for folder in ("checks", "checks/setup", "trainer"):
        (project.folder / folder).mkdir()
        project.text("", f"{folder}/__init__.py")
    project.text("def the_learning_rate_is_in_range():\n    pass\n", "checks/setup/learning_rate.py")
    project.text("def test_theirs():\n    pass\n", "checks/test_theirs.py")
    return project


def test_folders_named_like_ours_replace_nothing(lookalikes, shell):
    lookalikes.set(training={"learning_rate": 0.5}).write()

    ran = shell("--preflight", "config.yaml", "-k", "CFG-105")

    assert ran.code == 1
    assert "learning rate 0.5 is too high" in ran.screen


def test_their_tests_below_a_folder_named_checks_are_theirs(lookalikes):
    run = lookalikes.gate("--import-mode=importlib", "checks", "-k", "test_theirs or CFG-105")

    assert run.code == 0, run.screen
    assert "checks/test_theirs.py ." in run.screen
    assert "1 other test: 1 passed" in run.screen


@pytest.mark.parametrize(
    "ini, selected, verdict",
    [
        ("addopts = -W error --strict-markers --strict-config\nfilterwarnings = error", "", "GREEN"),
        ("addopts = -ra -v --durations=3 --tb=line\nxfail_strict = true", "CFG-103 or CFG-105", "PARTIAL"),
        ("python_functions = *\naddopts = --doctest-modules", "CFG-103 or CFG-105", "PARTIAL"),
    ],
)
def test_settings_of_the_user_break_nothing(project, shell, ini, selected, verdict):
    project.text(f"[pytest]\n{ini}\n", "pytest.ini")

    ran = shell("--preflight", "config.yaml", "-k", selected)

    assert ran.code == 0, ran.screen
    assert f"= {verdict} in " in ran.screen


def test_a_check_that_warns_is_not_broken_by_an_error_filter(project, own_check):
    own_check("import warnings\nwarnings.warn('old', DeprecationWarning)")

    run = project.gate("-W", "error::DeprecationWarning", "-k", "USER-001")

    assert (run.code, run.outcome("USER-001")) == (0, "passed")


def test_a_module_named_checks_that_is_imported_already_is_left_alone(project, monkeypatch):
    theirs = types.ModuleType("checks")
    monkeypatch.setitem(sys.modules, "checks", theirs)

    run = project.gate()

    assert run.report["verdict"] == "green", run.screen
    assert sys.modules["checks"] is theirs

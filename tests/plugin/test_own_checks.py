"""Users' own checks, named by `gate.checks`."""

import pytest

from preflight.report.schema import validate


def test_an_own_check_belongs_to_the_checklist(project, own_check):
    own_check("evidence(f'rank {config.lora.r}', rank=config.lora.r)", parameters="config, evidence")

    run = project.gate()

    assert run.report["verdict"] == "green", run.screen
    assert (run.outcome("USER-001"), run.check("USER-001")["evidence"]) == ("passed", {"rank": 16})
    assert "USER-001 own-check" in run.screen
    assert "rank 16" in run.screen
    validate(run.report)


@pytest.mark.parametrize(
    "body, message",
    [
        ("assert config.lora.r == 8, 'the rank is ours'", "the rank is ours"),
        ("assert config.lora.r == 8", "`assert config.lora.r == 8` does not hold"),
        ("import pytest\npytest.fail('not today')", "not today"),
        ("report_findings([Finding('too many', observed=3)])", "too many"),
        ("raise AssertionError", "`raise AssertionError` does not hold"),
    ],
)
def test_an_own_check_says_what_is_wrong(project, own_check, body, message):
    own_check(body)

    run = project.gate("-k", "USER-001")

    assert (run.code, run.outcome("USER-001")) == (1, "failed")
    assert run.findings("USER-001")[0]["message"] == message
    assert message in run.screen
    assert "Traceback" not in run.screen
    validate(run.report)


def test_a_plain_assert_is_found_in_its_file(project, own_check):
    own_check("assert False, 'no'", head="# one\n# two")

    assert project.gate("-k", "USER-001").findings("USER-001")[0]["where"] == "own.py:7"


def test_severity_and_waivers_reach_own_checks(project, own_check):
    own_check("assert False, 'no'")
    waiver = {"code": "USER-001", "reason": "known", "by": "me", "expires": "2999-01-01"}

    lowered = project.set(gate={"severity": {"USER-001": "advice"}}).gate("-k", "USER-001")
    waived = project.set(gate={"severity": {}, "waivers": [waiver]}).gate("-k", "USER-001")

    assert (lowered.code, lowered.outcome("USER-001")) == (0, "warned")
    assert (waived.code, waived.outcome("USER-001")) == (0, "waived")
    assert waived.check("USER-001")["reason"] == "waived by me until 2999-01-01: known"


def test_an_own_check_can_run_after_the_run(project, own_check):
    own_check("assert False, 'no'", section=6)

    assert project.gate("-k", "USER-001", stage="postflight").outcome("USER-001") == "failed"
    assert "USER-001" not in project.gate("--co").screen


def test_fixtures_of_an_own_conftest_reach_own_checks(project, own_check):
    own_check("assert answer == 42", parameters="answer")
    project.text("import pytest\n\n@pytest.fixture\ndef answer():\n    return 42\n", "my_checks/conftest.py")

    assert project.gate("-k", "USER-001").outcome("USER-001") == "passed"


@pytest.mark.parametrize("name", ["own.py", "test_own.py", "own_test.py"])
def test_a_single_file_is_collected_once(project, own_check, name):
    """Whatever it is called: pytest itself would take test_*.py, and any file that is named."""
    own_check("pass", head="def test_not_a_check():\n    assert False", file=name)
    project.set(gate={"checks": [f"my_checks/{name}"]})

    run = project.gate("-k", "USER-001 or not_a_check")

    assert run.code == 0, run.screen
    assert "1 selected" in run.screen
    assert run.outcome("USER-001") == "passed"


HEAD = "from preflight import *\n\n"
GOOD = "@check('USER-001', 'own-check', severity='required', section=1, item='Ours')\ndef ours_holds():\n    pass\n"


@pytest.mark.parametrize(
    "text, words",
    [
        (GOOD.replace("USER-001", "USER-1"), "'USER-1' is not a code"),
        (GOOD.replace("USER-001", "USER-001\\n"), "is not a code"),
        (GOOD.replace("USER-001", "CFG-900"), "own checks are USER-001 and up"),
        (GOOD.replace("own-check", "Own check!"), "'Own check!' is not a name"),
        (GOOD.replace("own-check", "learning-rate"), "the name 'learning-rate' stands twice: "),
        (GOOD.replace("'required'", "'critical'"), "there is no severity 'critical'"),
        (GOOD.replace("section=1", "section=9"), "there is no section 9"),
        (GOOD.replace("section=1", "section=1, stage='flight'"), "there is no stage 'flight'"),
        (GOOD.replace("def ", "async def "), "a check is a plain function"),
        (GOOD.replace("pass", "yield"), "a check is a plain function"),
        (GOOD.replace("def ours_holds():", "class Ours:"), "a check is a plain function"),
        (GOOD + GOOD.replace("ours_holds", "again").replace("own-check", "again"), "USER-001 stands twice"),
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_module_here\n", "No module named 'no_such_module_here'"),
        ("import sys\nsys.exit(0)\n", "SystemExit: 0"),
        ("import pytest\npytest.skip('later', allow_module_level=True)\n", "Skipped: later"),
    ],
)
def test_a_file_that_cannot_be_loaded_ends_the_run(project, text, words):
    """Exit status 4 and one line that names the file; a check that vanished must not go unnoticed."""
    (project.folder / "my_checks").mkdir()
    project.text(HEAD + text, "my_checks/own.py")

    run = project.set(gate={"checks": ["my_checks"]}).gate()

    assert run.code == 4
    assert words in run.screen
    assert "own.py" in run.screen
    assert "Traceback" not in run.screen
    assert run.report is None


@pytest.mark.parametrize(
    "path, words",
    [
        ("no_such_folder", "no_such_folder does not exist"),
        ("empty", "empty holds no .py file"),
        ("notes.txt", "notes.txt: not a Python file"),
    ],
)
def test_a_path_without_checks_ends_the_run(project, path, words):
    (project.folder / "empty").mkdir()
    project.text("", "notes.txt")

    run = project.set(gate={"checks": [path]}).gate()

    assert run.code == 4
    assert words in run.screen
    assert "Traceback" not in run.screen

"""A check that crashes, skips or is tampered with is an error: it blocks, and nothing excuses it."""

import sys

import pytest

from preflight.registry import shipped
from preflight.report.schema import validate

WAIVER = {"code": "USER-001", "reason": "known", "by": "me", "expires": "2999-01-01"}


@pytest.mark.parametrize("meta", [{}, {"severity": "advice"}], ids=["required", "advice"])
@pytest.mark.parametrize("waivers", [[], [WAIVER]], ids=["not-waived", "waived"])
def test_a_crash_blocks_whatever_excuses_it(project, own_check, meta, waivers):
    own_check("raise KeyError('oops')", **meta)

    run = project.set(gate={"waivers": waivers}).gate("-k", "USER-001")

    assert (run.code, run.outcome("USER-001")) == (1, "error")
    assert run.check("USER-001")["reason"] == "the check is broken: KeyError: 'oops'"
    assert "own.py:6: KeyError" in run.screen  # pytest's traceback
    assert "USER-001 is broken -" in run.screen
    validate(run.report)


@pytest.mark.parametrize("error", [KeyError, AssertionError])
def test_a_crash_of_a_shipped_check_asks_for_a_report(project, monkeypatch, error):
    """A failed assert inside a library is a crash like any other."""

    def library():
        raise error("inside a library")

    monkeypatch.setattr(sys.modules[shipped()["ENV-101"].module], "versions", library)

    run = project.gate("-k", "ENV-101")

    assert run.outcome("ENV-101") == "error"
    assert "ENV-101 is broken; please report this" in run.screen


@pytest.mark.parametrize(
    "body, outcome, reason",
    [
        ("import pytest\npytest.skip('no time')", "error", "the check skipped itself (no time); it must say"),
        ("import pytest\npytest.importorskip('no_such_module')", "error", "the check skipped itself"),
        ("import pytest\npytest.xfail('known')", "failed", ""),
        ("raise SystemExit(0)", "error", "the check is broken: SystemExit: 0"),
        ("not_available('')", "not-available", "no reason given"),
    ],
)
def test_leaving_without_a_judgement_is_no_success(project, own_check, body, outcome, reason):
    own_check(body)

    run = project.gate("-k", "USER-001")

    assert (run.code, run.outcome("USER-001")) == (1, outcome)
    assert run.check("USER-001")["reason"].startswith(reason)
    validate(run.report)


@pytest.mark.parametrize(
    "mark, outcome",
    [
        ("skip(reason='later')", "error"),
        ("skipif(True, reason='later')", "error"),
        ("xfail(reason='known')", "failed"),
        ("xfail(run=False, reason='known')", "error"),
    ],
)
def test_marks_excuse_nothing(project, own_check, mark, outcome):
    path = own_check("assert False, 'no'", head="import pytest")
    path.write_text(path.read_text().replace("@check", f"@pytest.mark.{mark}\n@check"))

    run = project.gate("-k", "USER-001")

    assert (run.code, run.outcome("USER-001")) == (1, outcome)


def test_a_fixture_that_crashes_is_an_error(project, own_check):
    head = "import pytest\n\n@pytest.fixture\ndef ours():\n    assert False, 'fixture'\n"
    own_check("pass", head, parameters="ours", severity="advice")

    run = project.gate("-k", "USER-001")

    assert (run.code, run.outcome("USER-001")) == (1, "error")


def test_a_teardown_that_crashes_outranks_a_pass(project, own_check):
    head = "import pytest\n\n@pytest.fixture\ndef ours():\n    yield\n    raise OSError('too late')\n"
    own_check("pass", head, parameters="ours")

    run = project.gate("-k", "USER-001")

    assert (run.code, run.outcome("USER-001")) == (1, "error")
    assert run.check("USER-001")["reason"] == "the check is broken: OSError: too late"


def test_a_fixture_that_does_not_exist_is_an_error(project, own_check):
    own_check("pass", parameters="no_such_fixture")

    assert project.gate("-k", "USER-001").outcome("USER-001") == "error"


@pytest.mark.parametrize("name, code", [("config", "CFG-105"), ("tokenizer", "DATA-100"), ("evidence", "META-001")])
def test_a_fixture_of_the_user_that_takes_the_place_of_ours(project, name, code):
    """A root conftest reaches every check; here it takes over what the check is given, or what that rests on."""
    text = f"import pytest\n\n@pytest.fixture(scope='session')\ndef {name}():\n    return None\n"
    project.text(text, "conftest.py")

    run = project.gate("-k", code)

    assert (run.code, run.outcome(code)) == (1, "error")
    assert f"fixtures take the place of preflight's own: {name} (conftest); rename them" in run.check(code)["reason"]


def test_a_shadowing_fixture_that_is_cached_already_is_refused_too(project):
    """An ordinary test may have set it up before: with xdist, any order is possible."""
    fixture = "import pytest\n\n@pytest.fixture(scope='session')\ndef config():\n    return None\n"
    reverse = "\ndef pytest_collection_modifyitems(items):\n    items.reverse()\n"
    project.text(fixture + reverse, "conftest.py")
    project.text("def test_mine(config):\n    assert config is None\n", "test_mine.py")

    run = project.gate("test_mine.py", "-k", "CFG-105 or test_mine")

    assert run.outcome("CFG-105") == "error"


def test_evidence_that_is_no_json_is_shown_as_text(project, own_check):
    body = """
        import numpy, pathlib
        evidence(7, n=numpy.int64(3), rows=numpy.arange(2), where=pathlib.Path("a"), bad=float("nan"), half="\\ud83d")
    """
    own_check(body, parameters="evidence")

    run = project.gate("-k", "USER-001")

    assert run.check("USER-001")["evidence"] == {"n": 3, "rows": [0, 1], "where": "a", "bad": None, "half": "\\ud83d"}
    assert run.check("USER-001")["summary"] == "7"
    validate(run.report)

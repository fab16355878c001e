"""The screen of a gate run: what is on it, that it fits, and that data can't play tricks on it."""

import os
import re
import subprocess
import sys

import pytest

from preflight.report.terminal import cut, safe, tally


def lines_of(run, start="collected"):
    """The checklist's own lines; pytest's header names every plugin and may be long."""
    return run.screen.partition(start)[2].splitlines()[1:]


def test_a_green_run_reads_from_top_to_bottom(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    run = project.gate()

    total = len(run.report["checks"])
    assert f"collected {total} items\n" in run.screen  # of this stage, and not of the other one
    lines = lines_of(run)
    headings = [line for line in lines if re.match(r"\d [A-Z]|The gate", line)]
    assert headings == [
        "1 Data preparation",
        "2 Hardware assessment",
        "3 Configuration selection",
        "4 Training setup",
        "The gate itself",
    ]
    shown = [line for line in lines if re.match(r"  \S+ +[A-Z]+-\d{3} ", line)]
    silent = sum(check["outcome"] == "not-applicable" for check in run.report["checks"])
    assert len(shown) == total - silent  # what has no subject is counted
    passed = sum(check["outcome"] == "passed" for check in run.report["checks"])
    assert len([line for line in lines if re.match(r"  ok +[A-Z]+-\d{3} ", line)]) == passed
    assert re.fullmatch(r"=+ GREEN in \d+\.\ds =+", lines[-5])
    assert lines[-4].startswith(f"{total} checks: {passed} passed, ")
    assert lines[-4].endswith(f"{silent} not-applicable (-v shows them)")
    assert lines[-3:] == [
        "cleared: run/preflight/clearance.json",
        "report:  run/preflight/report.html",
        "next:    preflight train config.yaml",
    ]


def test_what_has_no_subject_is_shown_to_who_asks(project):
    project.set(training={"load_best_model_at_end": False})
    whole = lines_of(project.gate("-v"))
    one = lines_of(project.gate("-k", "CFG-125"))

    assert any(re.match(r"  n/a +CFG-125 ", line) for line in whole)
    assert any(re.match(r"  n/a +CFG-125 ", line) for line in one)
    assert not any("-v shows them" in line for line in (*whole, *one))


def test_a_red_run_ends_with_what_blocks(project, monkeypatch):
    """Under the warnings, where the eye is: place, numbers, reason and repair."""
    monkeypatch.setenv("COLUMNS", "80")
    waiver = {"code": "DATA-104", "reason": "meant", "by": "me", "expires": "2999-01-01"}
    project.rows([{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}] * 600)
    project.set(training={"learning_rate": 0.5}, lora={"r": 64}, gate={"waivers": [waiver]})

    run = project.gate("-k", "CFG-103 or CFG-104 or CFG-105 or DATA-104")

    lines = lines_of(run)
    titles = [line.strip("- ") for line in lines if line.startswith("---")]
    assert titles == ["waived", "warnings", "blocks"]
    end = lines[lines.index(next(line for line in lines if "- blocks -" in line)) + 1 :]
    assert end[0] == "FAIL CFG-105 learning-rate"
    assert re.fullmatch(r"  config\.yaml:\d+: learning rate 0\.5 is too high for an adapter", end[1])
    assert end[2].startswith("    observed 0.5, expected ")
    assert end[3].startswith("    why: ")
    assert end[4] == "    fix: Set training.learning_rate: 2.0e-04."
    assert "= RED in " in end[6]
    assert end[8] == "no clearance: 1 check blocks: CFG-105"
    assert end[-1] == "next:    Fix what blocks, then pytest --preflight config.yaml"


@pytest.mark.parametrize("change", [{}, {"model": {"name_or_path": "./none"}}], ids=["green", "red"])
@pytest.mark.parametrize("columns", [80, 120])
def test_lines_fit_the_screen(project, monkeypatch, columns, change):
    """All but findings, whose text may have to be copied."""
    monkeypatch.setenv("COLUMNS", str(columns))
    run = project.set(**change).gate()

    findings = {text for check in run.report["checks"] for finding in check["findings"] for text in finding.values()}
    reasons = {check["reason"] for check in run.report["checks"]}
    said = [text for text in findings | reasons if text]
    long = [line for line in lines_of(run) if len(line) > columns]
    assert [line for line in long if not any(text in line for text in said)] == []
    assert "\n\n\n" not in run.screen


def test_one_cause_is_said_once(project):
    """A missing model keeps most checks from judging; the reason stands once, under all their codes."""
    run = project.set(model={"name_or_path": "./none"}).gate("-q")

    untold = [check["code"] for check in run.report["checks"] if check["outcome"] == "not-available"]
    blocks = run.screen.partition("- blocks -")[2]
    assert len(untold) > 8
    assert blocks.count("the folder ./none does not exist") == 2  # theirs, and the finding of CFG-110
    assert "DATA-100, DATA-101" in blocks
    assert blocks.index("DATA-100") < blocks.index("FAIL CFG-110 model-files")


def test_many_findings_are_cut_and_counted(project):
    codes = [f"USER-{number:03}" for number in range(30)]
    waivers = [{"code": code, "reason": "known", "by": "me", "expires": "2999-01-01"} for code in codes]

    run = project.set(gate={"waivers": waivers}).gate("-k", "META-001")

    shown = [
        line for line in run.screen.splitlines() if "there is no check USER-" in line and line.startswith("  config")
    ]
    assert len(run.findings("META-001")) == 21
    assert len(shown) == 5
    assert "  ... and 16 more in the report" in run.screen


def subprocess_screen(project, *arguments, **variables):
    environment = {**os.environ, "COLUMNS": "80", **variables}
    command = [sys.executable, "-m", "pytest", "--preflight", "config.yaml", "-k", "CFG-104 or CFG-105", *arguments]
    done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, check=False)
    return done.stdout


def test_the_screen_in_ascii_and_in_utf8(project):
    """A terminal that can't show the marks gets words in their place, and no byte that it can't show."""
    project.set(lora={"r": 64}, gate={"thresholds": {"CFG-105": {"low": 1e-5}}}).write()

    plain = subprocess_screen(project, PYTHONIOENCODING="ascii").decode("ascii")
    rich = subprocess_screen(project, PYTHONIOENCODING="utf-8").decode("utf-8")

    assert "  warn       CFG-104 rank-as-recommended" in plain
    assert "  ok         CFG-105 learning-rate" in plain
    assert "  ! CFG-104 rank-as-recommended" in rich
    assert "  ✓ CFG-105 learning-rate" in rich
    assert "\x1b[" not in rich


def test_colours_are_asked_for_and_refused(project):
    project.write()

    assert b"\x1b[32m" in subprocess_screen(project, "--color=yes")
    assert b"\x1b[" not in subprocess_screen(project, NO_COLOR="1")


@pytest.mark.parametrize(
    "text, shown",
    [
        ("plain", "plain"),
        ("two\nlines", "two\nlines"),
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("a\rb\tc\x00", "a\\x0db\\x09c\\x00"),
        ("right\u202eleft", "right\\x202eleft"),
        ("\x9b31m", "\\x9b31m"),
        ("\ud83d", "\\xd83d"),
        ("grüße 漢字 🙂", "grüße 漢字 🙂"),
    ],
)
def test_control_characters_are_shown_not_obeyed(text, shown):
    assert safe(text) == shown


def test_data_cannot_clear_the_screen(project):
    project.rows([{"messages": [{"role": "\x1b[2Jsystem\x07", "content": "x"}]}] * 200)

    run = project.gate("-k", "DATA")

    assert "\x1b" not in run.screen
    assert "\x07" not in run.screen


@pytest.mark.parametrize(
    "text, width, shown",
    [("short", 8, "short"), ("exactly8", 8, "exactly8"), ("too long by far", 8, "too l..."), ("a\n  b\tc", 8, "a b c")],
)
def test_cut(text, width, shown):
    assert cut(text, width, "...") == shown


def test_tally():
    assert tally("check", {"passed": 22, "failed": 0, "warned": 1}) == "23 checks: 22 passed, 1 warned"
    assert tally("other test", {"passed": 1}) == "1 other test: 1 passed"

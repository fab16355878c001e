"""The truth table of the verdict, and what green promises."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.findings import Outcome, Severity
from preflight.verdict import Result, add_unused_waivers, complete, counts, decide, in_force, outcome_of_findings

OUTCOMES, SEVERITIES = get_args(Outcome), get_args(Severity)
BLOCKS = {(outcome, severity) for outcome in ("failed", "error") for severity in SEVERITIES}
BLOCKS |= {("not-available", "required")}


def result(outcome, severity="required", code="DATA-101", **more):
    return Result(code, severity, outcome, **more)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("exit_status", [0, 1, 2, 3, 4, 5, 6])
def test_the_verdict_on_one_check(outcome, severity, exit_status):
    verdict, why = decide({"DATA-101": result(outcome, severity)}, exit_status=exit_status)

    if (outcome, severity) in BLOCKS:
        assert (verdict, why) == ("red", "1 check blocks: DATA-101")
    elif exit_status not in (0, 5):
        assert verdict == "red"
    else:
        assert verdict == ("partial" if outcome == "not-run" else "green")


@pytest.mark.parametrize(
    "severity, waived, outcome",
    [
        ("required", False, "failed"),
        ("recommended", False, "warned"),
        ("advice", False, "warned"),
        ("required", True, "waived"),
        ("recommended", True, "waived"),
        ("advice", True, "waived"),
    ],
)
def test_the_outcome_of_findings(severity, waived, outcome):
    assert outcome_of_findings(severity, waived=waived) == outcome


@pytest.mark.parametrize(
    "default, override, strict, expected",
    [
        ("required", None, False, "required"),
        ("required", "advice", False, "advice"),
        ("required", "recommended", True, "required"),
        ("recommended", None, True, "required"),
        ("recommended", "advice", True, "advice"),
        ("advice", None, True, "advice"),
        ("advice", "required", False, "required"),
    ],
)
def test_the_severity_in_force(default, override, strict, expected):
    overrides = {"DATA-101": override} if override else {}

    assert in_force("DATA-101", default, overrides, strict=strict) == expected


@pytest.mark.parametrize(
    "first, second, expected",
    [
        ("passed", "error", "error"),  # the teardown crashed
        ("failed", "error", "error"),
        ("error", "passed", "error"),
        ("failed", "not-run", "failed"),
        ("waived", "not-run", "not-run"),
        ("not-available", "not-run", "not-run"),
        ("passed", "warned", "warned"),
    ],
)
def test_the_worse_of_two_results_counts(first, second, expected):
    assert complete({"DATA-101": "required"}, [result(first), result(second)])["DATA-101"].outcome == expected


def test_what_did_not_run_and_what_nobody_expected():
    """An expected check without a result was not run; a result of an unknown check changes nothing."""
    results = complete(
        {"DATA-101": "required", "CFG-105": "advice"}, [result("passed"), result("error", code="USER-001")]
    )

    assert {code: each.outcome for code, each in results.items()} == {"DATA-101": "passed", "CFG-105": "not-run"}
    assert results["CFG-105"].reason


def test_no_checks_at_all_are_no_success():
    assert decide({}, exit_status=0) == ("red", "no checks were found")


@pytest.mark.parametrize(
    "exit_status, words", [(1, "other tests"), (2, "interrupted"), (3, "internal error"), (4, "find"), (6, "status 6")]
)
def test_why_a_run_without_a_blocking_check_is_red(exit_status, words):
    verdict, why = decide({"DATA-101": result("passed")}, exit_status=exit_status)

    assert verdict == "red"
    assert words in why


def test_many_blocking_checks_are_named_up_to_six():
    results = {f"CFG-{n}": result("failed", code=f"CFG-{n}") for n in range(101, 109)}

    assert decide(results, exit_status=1)[1] == (
        "8 checks block: CFG-101, CFG-102, CFG-103, CFG-104, CFG-105, CFG-106 and 2 more"
    )


codes = st.sampled_from([f"CFG-{n}" for n in range(101, 107)])
ran = st.lists(st.builds(Result, codes, st.sampled_from(SEVERITIES), st.sampled_from(OUTCOMES)), max_size=12)


@given(st.dictionaries(codes, st.sampled_from(SEVERITIES)), ran, st.integers(0, 7))
def test_green_means_green(expected, results, exit_status):
    """Every expected check ran, none of its results blocks, and pytest itself found nothing to complain about."""
    completed = complete(expected, results)
    verdict, why = decide(completed, exit_status=exit_status)

    assert set(completed) == set(expected)
    assert why
    if verdict == "green":
        assert expected
        assert exit_status in (0, 5)
        seen = [each for each in results if each.code in expected]
        assert {each.code for each in seen} == set(expected)
        assert not any(each.outcome in ("failed", "error", "not-run") for each in seen)
        assert not any(each.blocks for each in completed.values())


@given(st.dictionaries(codes, st.sampled_from(SEVERITIES), min_size=1), ran, st.integers(0, 7))
def test_what_blocks_is_red_and_named(expected, results, exit_status):
    completed = complete(expected, results)
    blocking = [code for code, each in completed.items() if each.blocks]
    verdict, why = decide(completed, exit_status=exit_status)

    if blocking:
        assert verdict == "red"
        assert blocking[0] in why
    if verdict == "partial":
        assert any(each.outcome == "not-run" for each in completed.values())


@given(ran)
def test_counts_name_every_outcome(results):
    assert set(counts(results)) == set(OUTCOMES)
    assert sum(counts(results).values()) == len(results)


@pytest.mark.parametrize(
    "meta, other, outcome, findings",
    [
        (result("passed", "recommended"), "passed", "warned", 1),
        (result("passed", "required"), "passed", "failed", 1),  # under --preflight-strict
        (result("passed", "recommended"), "waived", "passed", 0),
        (result("passed", "recommended"), "not-run", "passed", 0),
        (result("warned", "recommended", findings=({"message": "expired"},)), "passed", "warned", 2),
        (result("not-run", "recommended"), "passed", "not-run", 0),
        (result("error", "recommended"), "passed", "error", 0),
    ],
)
def test_a_waiver_that_waives_nothing_is_found(meta, other, outcome, findings):
    results = {"META-001": meta, "CFG-105": result(other, code="CFG-105")}
    add_unused_waivers(results, {"CFG-105": "config.yaml:7", "POST-101": "config.yaml:9"}, "META-001")

    assert results["META-001"].outcome == outcome
    assert len(results["META-001"].findings) == findings
    if findings:
        assert results["META-001"].findings[-1]["where"] == "config.yaml:7"

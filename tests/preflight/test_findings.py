"""What a check can say."""

from pathlib import Path

import pytest

from preflight.findings import (
    MAX_FINDINGS,
    Finding,
    Found,
    NotApplicable,
    NotAvailable,
    counted,
    failed_assert,
    not_applicable,
    not_available,
    report_findings,
)


def test_a_finding_keeps_what_was_given():
    finding = Finding("too high", where="config.yaml:3", observed=0.5, fix="Set 2e-4.")

    assert finding.as_dict() == {"message": "too high", "where": "config.yaml:3", "observed": "0.5", "fix": "Set 2e-4."}
    assert str(finding) == "config.yaml:3: too high"
    assert str(Finding("too high")) == "too high"


def test_no_findings_let_the_check_go_on():
    report_findings([])


def test_findings_end_the_check_and_may_come_from_a_generator():
    with pytest.raises(Found) as caught:
        report_findings(Finding(f"row {n}") for n in range(3))

    assert [finding.message for finding in caught.value.findings] == ["row 0", "row 1", "row 2"]
    assert isinstance(caught.value, AssertionError)
    assert str(caught.value) == "row 0\nrow 1\nrow 2"


@pytest.mark.parametrize(
    "number, shown", [(MAX_FINDINGS, MAX_FINDINGS), (MAX_FINDINGS + 1, MAX_FINDINGS + 1), (900, 21)]
)
def test_a_fault_in_every_row_is_said_once(number, shown):
    with pytest.raises(Found) as caught:
        report_findings(Finding(f"row {n}") for n in range(number))

    assert len(caught.value.findings) == shown
    if number > MAX_FINDINGS:
        assert caught.value.findings[-1].message == f"… and {number - MAX_FINDINGS} more like these"


def test_reasons_for_not_judging():
    with pytest.raises(NotApplicable, match="no adapter"):
        not_applicable("no adapter")
    with pytest.raises(NotAvailable, match="no weights"):
        not_available("no weights")


@pytest.mark.parametrize(
    "number, noun, text",
    [(0, "row", "0 rows"), (1, "row", "1 row"), (2, "row", "2 rows"), (1000, "file", "1,000 files")],
)
def test_counted(number, noun, text):
    assert counted(number, noun) == text


def helper(rank=8):
    assert rank == 16


def raised(function):
    with pytest.raises(AssertionError) as caught:
        function()
    return caught.value


def test_a_failed_assert_is_a_finding_with_its_line():
    """Of the frames that led to it the last one in the check's own file is named, or else the last of all."""
    error = raised(helper)
    error.args = ()  # pytest rewrites the asserts of this file, but not those of users' checks

    here, elsewhere = failed_assert(error, Path(__file__)), failed_assert(error, Path("other.py"))

    assert here.message == elsewhere.message == "`assert rank == 16` does not hold"
    assert here.where.startswith("test_findings.py:")

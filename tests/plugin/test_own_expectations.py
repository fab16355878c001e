"""Great Expectations in users' own checks: `@check(..., expect=function)`."""

import pytest

EXPECT = """
import great_expectations.expectations as gxe

def ours(limits):
    return [
        gxe.ExpectColumnMaxToBeBetween(column="supervised", max_value=limits.most, meta={"claim": "answers are short"}),
        gxe.ExpectColumnMedianToBeBetween(column="answer_tokens", min_value=2),
    ]
"""
REPORT = "from preflight.data.expectations import unmet\nreport_findings(unmet(expected, profile))"


@pytest.mark.parametrize("most, outcome", [(30, "passed"), (18, "failed")])
def test_an_own_check_may_expect_too(project, own_check, most, outcome):
    own_check(REPORT, EXPECT, parameters="expected, profile", thresholds={"most": most})
    own = project.folder / "my_checks" / "own.py"
    own.write_text(own.read_text().replace("thresholds=", "expect=ours, thresholds="))
    run = project.gate("-k", "USER-001")

    assert run.outcome("USER-001") == outcome, run.screen
    if outcome == "failed":
        (finding,) = run.findings("USER-001")
        assert finding["message"] == "not so: answers are short"
        assert finding["observed"] == "20"


@pytest.mark.parametrize(
    "expect, words",
    [
        ("lambda limits: [gxe.ExpectColumnMedianToBeBetween(column='nothing', min_value=2)]", "nothing"),
        ("lambda limits: [gxe.ExpectColumnMedianToBeBetween(column='kept', min_value=[])]", "not supported between"),
        ("lambda limits: [gxe.ExpectColumnValuesToMatchRegex(column='kept', regex='(')]", "can't be judged"),
        ("lambda limits: limits.nothing", "no attribute 'nothing'"),
        ("lambda limits: ['kept']", "has no attribute 'meta'"),
        ("lambda limits: None", "NoneType"),
    ],
)
def test_an_expectation_that_cannot_be_judged_breaks_its_own_check(project, own_check, expect, words):
    """A misspelt column must not pass for a fault of the data, nor stop what other checks expect."""
    own = own_check("pass", "import great_expectations.expectations as gxe", parameters="expected")
    own.write_text(own.read_text().replace("item=", f"expect={expect}, item="))
    run = project.gate("-k", "USER-001 or DATA-150")

    assert (run.outcome("USER-001"), run.outcome("DATA-150")) == ("error", "passed"), run.screen
    assert words in run.check("USER-001")["reason"]


def test_an_expectation_that_nobody_reads_is_refused(project, own_check):
    """It would look as if something were checked."""
    own = own_check("pass")
    own.write_text(own.read_text().replace("item=", "expect=list, item="))
    run = project.gate("-k", "USER-001")

    assert run.code == 4
    assert "make it a parameter" in run.screen

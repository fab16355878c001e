"""TOK-125: nearly all rows become training examples."""

import json

import pytest

CODE = "TOK-125"


@pytest.mark.parametrize("broken, outcome", [(60, "passed"), (61, "failed")])
def test_one_row_in_ten_may_be_lost(project, expect, broken, outcome):
    rows = [json.loads(line) for line in (project.folder / "train.jsonl").read_text().splitlines()]
    project.rows([{"messages": None}] * broken + rows[broken:])
    findings = expect(CODE, outcome)

    assert [finding["message"] for finding in findings] == ["only 90% of the rows become training examples"] * (
        outcome == "failed"
    )
    assert all(finding["observed"] == "61 of 600 lost: shape" for finding in findings)

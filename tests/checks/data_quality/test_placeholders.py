"""DATA-124: no answer holds a placeholder that was never filled in."""

import pytest

from tests.conftest import chat

CODE = "DATA-124"


def rows(*answers):
    return [chat(number, answer=answer) for number, answer in enumerate(answers)] + [chat(n) for n in range(50, 80)]


def test_placeholders_are_found(project, expect):
    project.rows(rows(*["I am {{name}}."] * 3, "It was in [INSERT YEAR HERE]."))
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == "4 of 34 rows hold a placeholder (11.8%)"
    assert finding["observed"].startswith(
        "I am {{name}}.; train.jsonl:4: It was in [INSERT YEAR HERE].; also train.jsonl:2"
    )


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(["I am {{name}}."], id="one row"),
        pytest.param(["Write `{{ name }}` there.", "```\n{{ name }}\n```", "Dear [Name],"], id="code and letters"),
    ],
)
def test_what_may_be_there_passes(project, expect, answers):
    project.rows(rows(*answers))

    assert expect(CODE, "passed") == []


def test_the_threshold_is_the_configs(project, expect):
    project.rows(rows(*["I am {{name}}."] * 3))
    project.set(gate={"thresholds": {CODE: {"max_fraction": 0.1}}})

    assert expect(CODE, "passed") == []

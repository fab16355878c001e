"""DATA-121: no single answer is given over and over."""

import pytest

from tests.conftest import chat

CODE = "DATA-121"

SAME = "Please contact our support team by telephone and have your customer number ready."


def rows(count, same, answer=SAME):
    return [chat(number, answer=answer if number < same else None) for number in range(count)]


def test_an_answer_that_is_given_too_often_is_found(project, expect):
    project.rows(rows(40, 9))
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == "9 of 40 rows have one and the same answer (22%)"
    assert finding["where"] == "train.jsonl:1"
    assert finding["observed"] == SAME
    assert finding["fix"] == "Keep at most 6 of these rows."


@pytest.mark.parametrize(
    "data, settings, outcome",
    [
        pytest.param(rows(40, 8), {}, "passed", id="one in five"),
        pytest.param(rows(40, 40, "positive"), {}, "passed", id="labels"),
        pytest.param(rows(40, 40, ""), {}, "passed", id="empty answers, which another check finds"),
        pytest.param(rows(40, 40), {"task": {"type": "classification"}}, "not-applicable", id="classification"),
        pytest.param(rows(2, 2), {}, "passed", id="two rows"),
    ],
)
def test_varied_answers_and_labels_pass(project, expect, data, settings, outcome):
    project.set(**settings).rows(data)

    assert expect(CODE, outcome) == []

"""DATA-120: hardly any turn is empty."""

import pytest

from tests.conftest import chat

CODE = "DATA-120"


def rows(count, empty, answer="", question=None):
    """Chats of which the last ones have this answer or question."""
    faulty = [chat(number) for number in range(count - empty, count)]
    for row in faulty:
        row["messages"][1]["content"] = answer if question is None else "It is."
        row["messages"][0]["content"] = row["messages"][0]["content"] if question is None else question
    return [chat(number) for number in range(count - empty)] + faulty


@pytest.mark.parametrize(
    "data, message",
    [
        pytest.param(rows(500, 1), "1 of 500 rows have an empty answer (0.2%)", id="one in five hundred"),
        pytest.param(
            rows(20, 20, answer=" \n"), "20 of 20 rows have an empty answer (100.0%)", id="nothing but spaces"
        ),
        pytest.param(rows(20, 3, question=""), "3 of 20 rows have an empty question (15.0%)", id="questions"),
    ],
)
def test_empty_turns_block(project, expect, data, message):
    project.rows(data)
    (finding,) = expect(CODE, "failed")

    assert finding["message"] == message
    assert finding["where"] == f"train.jsonl:{len(data) - int(message.split()[0]) + 1}"
    assert "rows" in finding["fix"] or "this row" in finding["fix"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(rows(1000, 1), id="one in a thousand"),
        pytest.param(
            [{"instruction": f"Is it {n}?", "input": "", "output": "It is."} for n in range(9)], id="no input"
        ),
    ],
)
def test_what_is_not_empty_passes(project, expect, data):
    project.rows(data)

    assert expect(CODE, "passed") == []

"""DATA-129: nothing is said over and over within an example."""

import pytest

from tests.conftest import chat

CODE = "DATA-129"


def twice(number):
    row = chat(number)
    return {"messages": row["messages"] * 2}


def loop(number):
    return chat(number, answer=f"Take part {number}. " + "I'm gonna have to go. " * 20)


@pytest.mark.parametrize(
    "row, message",
    [
        (twice, "2 of 20 rows hold the same turn twice (10.0%)"),
        (loop, "2 of 20 rows have an answer that runs in a loop (10.0%)"),
    ],
)
def test_repetition_is_found(project, expect, row, message):
    project.rows([row(number) if number < 2 else chat(number) for number in range(20)])
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == message
    assert finding["where"] == "train.jsonl:1"


def test_one_row_passes(project, expect):
    project.rows([twice(0), loop(1), *map(chat, range(2, 20))])

    assert expect(CODE, "passed") == []

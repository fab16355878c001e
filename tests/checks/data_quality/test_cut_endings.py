"""DATA-127: answers end where they are over, and don't break off."""

import pytest

from tests.conftest import chat

CODE = "DATA-127"

PROSE = "The kettle stands on the stove and hums until the water boils, and then it whistles for a while. " * 3


def rows(count, cut, end=" and", tail="."):
    """Chats with long answers of which the first ones break off."""
    ends = [end if number < cut else f" and pot {number}{tail}" for number in range(count)]
    return [chat(number, answer=f"{PROSE}Take part {number}{text}") for number, text in enumerate(ends)]


@pytest.mark.parametrize(
    "data, message",
    [
        pytest.param(rows(40, 6), "end within a sentence: 15% of 40 answers in prose,", id="sentences"),
        pytest.param(rows(40, 2, end=":\n```python\nx"), "end within a block of code or a link", id="blocks of code"),
        pytest.param(rows(40, 2, end=" at https://"), "end within a block of code or a link", id="links"),
    ],
)
def test_answers_that_break_off_are_found(project, expect, data, message):
    project.rows(data)
    (finding,) = expect(CODE, "warned")

    assert message in finding["message"]
    assert finding["where"] == "train.jsonl:1"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(rows(40, 4), id="one in ten"),
        pytest.param(rows(40, 40), id="data without full stops"),
        pytest.param(rows(10, 4), id="too few to tell"),
    ],
)
def test_what_may_end_so_passes(project, expect, data):
    project.rows(data)

    assert expect(CODE, "passed") == []

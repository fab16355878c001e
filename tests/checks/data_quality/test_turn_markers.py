"""DATA-123: no message holds the marker of a turn as text."""

import pytest

from tests.conftest import chat

CODE = "DATA-123"


def rows(*answers):
    return [chat(number, answer=answer) for number, answer in enumerate(answers)] + [chat(n) for n in range(50, 80)]


def test_markers_are_found(project, expect):
    project.rows(rows(*["### Response:\nIt is so."] * 2, "So.\n\nHuman: And now?\n\nAssistant: Yes."))
    (finding,) = expect(CODE, "warned")

    assert finding["where"] == "train.jsonl:1"
    assert finding["observed"] == (
        "### Response: It is so.; train.jsonl:3: So. Human: And now? Assistant: Yes.; also train.jsonl:2"
    )
    assert finding["fix"] == "Remove the markers from these 3 rows, or split them into turns."


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(["In Gemma a turn begins with <start_of_turn>."], id="one text about formats"),
        pytest.param(["It is so.<|im_end|>"] * 9, id="the tokenizer's own, which another check finds"),
    ],
)
def test_what_may_be_there_passes(project, expect, answers):
    project.rows(rows(*answers))

    assert expect(CODE, "passed") == []

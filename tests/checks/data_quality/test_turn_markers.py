"""DATA-123: no message holds the marker of a turn as text."""

import pytest

from tests.conftest import chat

CODE = "DATA-123"


def rows(*answers):
    return [chat(number, answer=answer) for number, answer in enumerate(answers)] + [chat(n) for n in range(50, 80)]


@pytest.mark.parametrize(
    "answers, shown",
    [
        pytest.param(["It is so.</s>"] * 2, "It is so.</s>", id="another model's end of text"),
        pytest.param(["### Response:\nIt is so."] * 3, "### Response: It is so.", id="a heading of prompts"),
        pytest.param(
            ["So.\n\nHuman: And now?\n\nAssistant: Yes."] * 2, "So. Human: And now? Assistant: Yes.", id="a turn"
        ),
    ],
)
def test_markers_are_found(project, expect, answers, shown):
    project.rows(rows(*answers))
    (finding,) = expect(CODE, "warned")

    assert finding["where"] == "train.jsonl:1"
    assert finding["observed"].startswith(shown)
    assert finding["fix"].startswith(f"Remove the markers from these {len(answers)} rows")


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

"""TOK-115: no special token is typed in a message. TOK-116: no prompt format is written by hand."""

import pytest

GOOD = "<|im_start|>user\nWhat is {0}?<|im_end|>\n<|im_start|>assistant\nIt is {0}."


def chats(count, odd, text):
    """Conversations of which the first ones hold a text."""
    answers = [text if number < odd else f"It is number {number}." for number in range(count)]
    asked = ({"role": "user", "content": f"What is {number}?"} for number in range(count))
    return [
        {"messages": [question, {"role": "assistant", "content": answer}]}
        for question, answer in zip(asked, answers, strict=True)
    ]


@pytest.mark.parametrize(
    "odd, text, outcome",
    [
        (40, "It is 2.<|im_end|>", "warned"),
        (2, "Write <|im_start|>user first.", "warned"),
        (1, "Write <|im_start|>user first.", "passed"),
        (40, "Write <|im_sep|> or </s> or [INST], or <|im_start |>.", "passed"),
    ],
    ids=["an end typed behind each answer", "two texts about templates", "one of them", "tokens of other models"],
)
def test_typed_tokens(project, expect, odd, text, outcome):
    project.rows(chats(40, odd, text))
    findings = expect("TOK-115", outcome)

    assert [finding["message"] for finding in findings] == [
        f"special tokens are typed in the messages of {odd} of 40 rows"
    ] * (outcome == "warned")
    assert all(finding["where"] == "train.jsonl:1" and text[:12] in finding["observed"] for finding in findings)


def test_a_typed_end_is_said_once(project):
    project.rows(chats(40, 40, "It is 2.<|im_end|>"))
    run = project.gate("-k", "TOK-1")

    assert run.outcome("TOK-105") == "passed", run.screen


@pytest.mark.parametrize(
    "format, outcome",
    [
        pytest.param(GOOD, "passed", id="what the template writes"),
        pytest.param(GOOD.replace("user\n", "user ").replace("assistant\n", "assistant "), "warned", id="other spaces"),
        pytest.param("### Instruction:\nWhat is {0}?\n\n### Response:\nIt is {0}.", "warned", id="another format"),
        pytest.param("What is {0}? It is {0}. See [1].", "passed", id="no format"),
    ],
)
def test_formats_by_hand(project, expect, format, outcome):
    project.rows([{"text": format.format(number)} for number in range(20)])
    findings = expect("TOK-116", outcome)

    assert [finding["where"] for finding in findings] == ["train.jsonl:1"] * (outcome == "warned")
    assert all("20 rows of 20" in finding["message"] for finding in findings)


def test_conversations_are_not_plain_text(expect):
    assert expect("TOK-116", "not-applicable") == []

"""TOK-121: the vocabulary can represent the text. TOK-122: no language is split far worse than English."""

import pytest

RUSSIAN, THAI, KOREAN = "Все люди рождаются свободными {}.", "มนุษย์ทั้งหลายเกิดมามีอิสระ {}", "모든 인간은 태어날 때부터 {}"
ENGLISH = "All human beings are born free and equal in dignity and rights, number {}."
CODE = "Use this:\n```python\nfor value in values:\n    total += value * {}\n```"


def chats(*answers):
    """Twenty conversations for each answer."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"Say {n}."},
                {"role": "assistant", "content": answer.replace("{}", str(n))},
            ]
        }
        for answer in answers
        for n in range(20)
    ]


def test_bytes_without_a_token_are_found_by_script(project, expect):
    project.rows(chats("It is \x04 {}.", RUSSIAN + "\x04", ENGLISH))
    (finding,) = expect("TOK-121", "warned")

    assert finding["message"] == "the tokenizer loses text of 40 rows of 60 (Latin 20, Cyrillic 20)"
    assert finding["where"] == "train.jsonl:1"
    assert "\\x04" in finding["observed"]


@pytest.mark.parametrize("answers", [(RUSSIAN, THAI), ("🪔 é e\u0301 \u200b {}",)], ids=["scripts", "symbols"])
def test_bytes_are_enough(project, expect, answers):
    project.rows(chats(*answers))

    assert expect("TOK-121", "passed") == []


@pytest.mark.parametrize("others", [(ENGLISH,), ()], ids=["beside English", "alone"])
@pytest.mark.parametrize(
    "training", [{}, {"assistant_only_loss": False}], ids=["answers learned", "everything learned"]
)
def test_scripts_that_the_vocabulary_hardly_holds_are_found(project, expect, others, training):
    project.set(training=training).rows(chats(THAI * 9, KOREAN * 9, *(other * 6 for other in others)))
    found = expect("TOK-122", "warned")

    assert [finding["message"].partition(" text")[0] for finding in found] == ["Thai", "Hangul"]
    assert found[0]["where"] == "train.jsonl:1"
    assert found[1]["where"] == "train.jsonl:21"
    assert ("Latin script" in found[0]["observed"]) == bool(others)


@pytest.mark.parametrize(
    "answers, outcome",
    [
        pytest.param((ENGLISH, CODE), "passed", id="code"),
        pytest.param((ENGLISH, RUSSIAN), "passed", id="a script that is split worse, but not far worse"),
        pytest.param((ENGLISH, "naïve café, “quoted” — {} €"), "not-applicable", id="one script"),
    ],
)
def test_text_that_is_split_alike_passes(project, expect, answers, outcome):
    project.rows(chats(*answers))

    assert expect("TOK-122", outcome) == []


def test_a_handful_of_rows_is_no_language(project, expect):
    project.rows(chats(ENGLISH, ENGLISH)[:30] + chats(THAI)[:19])

    assert expect("TOK-122", "not-applicable") == []

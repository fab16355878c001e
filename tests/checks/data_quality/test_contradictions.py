"""DATA-108: no prompt has answers that contradict each other."""

import pytest

from preflight.checks.data_quality.contradictions import essence, labels

CODE = "DATA-108"


def chat(question, answer, **columns):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **columns}


def reviews(*more):
    """A hundred reviews with a label each, and more rows."""
    return [*(chat(f"Review {n}", "Positive" if n % 2 else "Negative") for n in range(100)), *more]


CALL = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}]


@pytest.mark.parametrize("task", ["classification", "instruction-following"])
def test_a_prompt_with_two_labels_is_found(project, expect, task):
    """Whatever the task is called, answers that many prompts have are labels."""
    project.set(task={"type": task}, training={"assistant_only_loss": False})
    project.rows(reviews(chat("Review 7", "negative"), chat("review 8", "Positive"), chat("Review 9", "positive!")))
    found = expect(CODE, "warned")

    assert [(finding["where"], finding["observed"]) for finding in found] == [
        ("train.jsonl:8", "'positive' in train.jsonl:8 but 'negative' in train.jsonl:101"),
        ("train.jsonl:9", "'negative' in train.jsonl:9 but 'positive' in train.jsonl:102"),
    ]


def test_many_contradictions_are_one_finding(project, expect):
    project.set(task={"type": "qa"})
    project.rows(reviews(*(chat(f"Review {n}", "Neither of them") for n in range(20))))
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == "20 prompts have contradictory answers"
    assert finding["observed"].startswith("'negative' in train.jsonl:1 but 'neither of them' in train.jsonl:101; ")
    assert finding["why"].startswith("At least 20 of 120 answers are wrong")


@pytest.mark.parametrize(
    "task, rows",
    [
        pytest.param("style-transfer", [chat("Greet me", f"Hello, number {n}") for n in range(20)], id="creative"),
        pytest.param("qa", [chat(f"Q {n % 9}", f"It is said to be {n} by most people") for n in range(20)], id="long"),
        pytest.param(
            "classification", reviews(chat("Review 7", "positive."), chat("Review 8", " NEGATIVE")), id="same"
        ),
        pytest.param("classification", reviews(chat("Review 7", "Negative")), id="less than one in a hundred"),
        pytest.param("classification", [chat(f"Q {n % 9}", "No", tools=CALL[: n // 9]) for n in range(18)], id="tools"),
        pytest.param("qa", [{"text": f"It is {n}."} for n in range(9)], id="text"),
    ],
)
def test_several_right_answers_pass(project, task, rows):
    outcome = project.set(task={"type": task}).rows(rows) and project.gate("-k", CODE).outcome(CODE)

    assert outcome == ("not-applicable" if "text" in rows[0] else "passed")


@pytest.mark.parametrize(
    "answer, task, said",
    [
        ("Yes.", "qa", "yes"),
        ("YES!", "qa", "yes"),
        ("New York City", "qa", "new york city"),
        ("", "qa", ""),
        ("It is a city in the north of the country.", "qa", None),
        ("The sum of 3 and 4 is, as everybody knows, 7.", "reasoning", "7"),
        ("First 3 apples, then 4 more apples, so 1,007.50 in all\n#### 1,007.50", "reasoning", "1007.50"),
        ("It takes -3 more of them, as was said above", "reasoning", "-3"),
        ("The answer follows from what was said above.", "reasoning", None),
        ("这是一个很好的人工智能助手", "qa", None),
        ("是的", "qa", "是 的"),
    ],
)
def test_what_of_an_answer_can_contradict_another(answer, task, said):
    assert essence(answer, task, 5) == said


def test_labels_are_answers_that_many_prompts_have(split):
    chats = split(40, prompt_hash=[*range(20), *range(20)], answer_hash=[1] * 20 + [*range(2, 22)]).profile

    assert labels(chats, chats, 10)["answer_hash"].tolist() == [1] * 20

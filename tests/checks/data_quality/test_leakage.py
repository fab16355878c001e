"""DATA-105: no validation example is in the training data."""

import pytest

CODE = "DATA-105"


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


def chat(question, answer="It is."):
    return {"messages": [user(question), said(answer)]}


TRAIN = [chat(f"Is it {number}?") for number in range(20)]
FRESH = [chat(f"Was it {number}?") for number in range(9)]
GREETING = [said("How can I help?"), user("Hi"), said("Hello.")]
OTHER = [GREETING[0], user("Bye"), GREETING[2]]


def longer(question, answer):
    return {"messages": [*GREETING, user(question), said(answer)]}


@pytest.mark.parametrize(
    "train, leak, original",
    [
        pytest.param(TRAIN, TRAIN[7], 8, id="an example"),
        pytest.param(TRAIN, chat("Is it 7?", "No."), 8, id="a prompt with another answer"),
        pytest.param([{"text": "Once."}, {"text": "Twice."}], {"text": "Twice."}, 2, id="text"),
        pytest.param([{"prompt": "a", "completion": "b"}], {"prompt": "a", "completion": "c"}, 1, id="a plain prompt"),
        pytest.param([longer("?", "a")], longer("?", "b"), 1, id="a longer chat"),
        pytest.param([{"instruction": "Hi", "output": "x"}], chat("Hi"), 1, id="the same in another shape"),
    ],
)
def test_leaked_prompts_are_found(project, expect, train, leak, original):
    project.rows(train)
    project.rows([*FRESH, leak], "validation.jsonl")
    (finding,) = expect(CODE, "failed")

    assert finding["where"] == "validation.jsonl:10"
    assert finding["message"] == f"the same prompt as train.jsonl:{original} of the training data"
    assert finding["fix"] == "Delete this row from the validation data."


def test_leaked_prompts_are_found_when_everything_is_learned(project, expect):
    project.set(training={"assistant_only_loss": False}).rows(TRAIN)
    project.rows([*FRESH, TRAIN[7]], "validation.jsonl")

    assert [finding["where"] for finding in expect(CODE, "failed")] == ["validation.jsonl:10"]


def test_a_split_of_data_with_copies_leaks(project, expect):
    project.rows(TRAIN * 10)
    project.config["data"] = {"train": "train.jsonl", "validation_split": 0.1}

    assert len(expect(CODE, "failed")) == 20


@pytest.mark.parametrize(
    "train, validation, only",
    [
        pytest.param(TRAIN, FRESH, True, id="other prompts"),
        pytest.param(TRAIN, FRESH, False, id="other prompts, everything learned"),
        pytest.param([{"text": "Once."}], [{"text": "Once more."}], False, id="text"),
        pytest.param([{"messages": GREETING}], [{"messages": OTHER}], True, id="the assistant's same greeting"),
        pytest.param([longer("a", "b")], [longer("c", "b")], True, id="chats that begin the same"),
        pytest.param([chat("a", "yes")], [chat("b", "yes")], True, id="the same answer"),
        pytest.param(TRAIN, [*FRESH * 11, TRAIN[0]], True, id="one in a hundred"),
    ],
)
def test_validation_data_of_its_own_passes(project, expect, train, validation, only):
    project.set(training={"assistant_only_loss": only}).rows(train)
    project.rows(validation, "validation.jsonl")

    assert expect(CODE, "passed") == []


def test_without_validation_data_it_is_not_applicable(project, expect):
    del project.config["data"]["validation"]

    assert expect(CODE, "not-applicable") == []

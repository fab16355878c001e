"""DATA-105 and DATA-116: no validation example is in the training data, and validation asks other questions."""

import pytest

from preflight.checks.data_quality.leakage import no_validation_example_is_in_the_training_data
from preflight.checks.data_quality.similar_leakage import validation_asks_other_questions_than_training

CODE, SIMILAR = "DATA-105", "DATA-116"


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
INSTRUCTION = "Decide whether the review is positive or negative, and answer with that one word and nothing else: "
FIXED = [chat(f"{INSTRUCTION}{number}", "yes") for number in range(30)]


def longer(question, answer):
    return {"messages": [*GREETING, user(question), said(answer)]}


@pytest.mark.parametrize(
    "train, leak, original",
    [
        pytest.param(TRAIN, TRAIN[7], 8, id="an example"),
        pytest.param(TRAIN, chat("IS IT 7 ?", "it is."), 8, id="but for spaces and capitals"),
        pytest.param([{"text": "Once."}, {"text": "Twice."}], {"text": "Twice."}, 2, id="text"),
        pytest.param([{"prompt": "a", "completion": "b"}], {"prompt": "a", "completion": "b"}, 1, id="plain prompt"),
        pytest.param([longer("?", "a")], longer("?", "a"), 1, id="a longer chat"),
        pytest.param([{"instruction": "Hi", "output": "x"}], chat("Hi", "x"), 1, id="the same in another shape"),
    ],
)
def test_leaked_examples_are_found(project, expect, train, leak, original):
    project.rows(train)
    project.rows([*FRESH, leak], "validation.jsonl")
    (finding,) = expect(CODE, "failed")

    assert finding["where"] == "validation.jsonl:10"
    assert finding["message"] == f"the same example as train.jsonl:{original} of the training data"
    assert finding["fix"] == "Delete this row from the validation data."


def test_many_leaked_examples_are_one_finding(split, judge):
    validation = split(40, "validation", prompt_hash=range(100, 140))
    train = split(20, prompt_hash=range(110, 130), answer_hash=range(10, 30))
    (finding,) = judge(no_validation_example_is_in_the_training_data, train, validation)

    assert finding.message == "20 of 40 validation examples stand in the training data"
    assert finding.observed.startswith("50.0%; validation.jsonl:11 as train.jsonl:1, ")
    assert finding.fix == "Delete 20 rows from the validation data."


def test_a_split_of_data_with_copies_keeps_them_together(project, expect):
    project.rows(TRAIN * 10)
    project.config["data"] = {"train": "train.jsonl", "validation_split": 0.1}

    assert expect(CODE, "passed") == []


@pytest.mark.parametrize(
    "train, validation, only",
    [
        pytest.param(TRAIN, FRESH, True, id="other prompts"),
        pytest.param(TRAIN, FRESH, False, id="other prompts, everything learned"),
        pytest.param([{"text": "Once."}], [{"text": "Once more."}], False, id="text"),
        pytest.param([{"messages": GREETING}], [{"messages": OTHER}], True, id="the assistant's same greeting"),
        pytest.param([longer("a", "b")], [longer("c", "b")], True, id="chats that begin the same"),
        pytest.param([chat("a", "yes")], [chat("b", "yes")], True, id="the same answer"),
        pytest.param(FIXED[:20], FIXED[20:], True, id="one instruction, other inputs"),
        pytest.param(TRAIN, [*FRESH * 12, TRAIN[0]], True, id="less than one in a hundred"),
    ],
)  # fmt: skip
def test_validation_data_of_its_own_passes(project, train, validation, only):
    project.set(training={"assistant_only_loss": only}).rows(train)
    project.rows(validation, "validation.jsonl")
    run = project.gate("-k", f"{CODE} or {SIMILAR}")

    assert (run.outcome(CODE), run.outcome(SIMILAR)) == ("passed", "passed"), run.screen


def test_without_validation_data_it_is_not_applicable(project, expect):
    del project.config["data"]["validation"]

    assert expect(CODE, "not-applicable") == []


# --- similar ----------------------------------------------------------------------------------------------------------

STORY = (
    "Once there was a lamp at the end of the pier that nobody had lit since the harbour closed, and each evening a boy "
    "walked out to look at it, counting his steps, until one night he had counted so far that the lamp began to speak. "
    "It told him where all the ships had gone, and which of them had meant to come back once the tides were kinder."
)


def test_known_prompts_and_near_duplicates_are_found(project):
    project.rows([*TRAIN, chat("Tell me a story.", STORY)])
    changed = chat("Tell me a tale.", STORY)
    project.rows([*FRESH, chat("Is it 7?", "No."), changed], "validation.jsonl")
    run = project.gate("-k", f"{CODE} or {SIMILAR}")

    assert (run.outcome(CODE), run.outcome(SIMILAR)) == ("passed", "warned"), run.screen
    assert [(found["where"], found["message"]) for found in run.findings(SIMILAR)] == [
        ("validation.jsonl:10", "the same prompt as train.jsonl:8 of the training data"),
        ("validation.jsonl:11", "nearly the same example as train.jsonl:21 of the training data"),
    ]


@pytest.mark.parametrize(
    "train, validation, count",
    [
        pytest.param({"prompt_hash": range(200)}, {"prompt_hash": range(6)}, 6, id="known prompts"),
        pytest.param({"prompt_hash": [1] * 200}, {"prompt_hash": [1] * 6}, 0, id="one prompt for everything"),
        pytest.param({"prompt_hash": [*range(197), 0, 0, 0]}, {"prompt_hash": [0] * 6}, 0, id="a prompt of many rows"),
        pytest.param({"shape": "text"}, {"shape": "text"}, 0, id="text, whose prompt is itself"),
    ],
)
def test_prompts_that_ask_for_anything_are_no_leak(split, judge, train, validation, count):
    known = split(200, answer_hash=range(1000, 1200), **train)
    found = judge(validation_asks_other_questions_than_training, known, split(6, "validation", **validation))

    assert [finding.message for finding in found] == (
        [f"{count} of 6 validation rows: the same prompt as a row of the training data"] if count else []
    )


@pytest.mark.parametrize("near, count", [([(n, 0) for n in range(7)], 7), ([(0, 0)], 0), ([], 0)])
def test_near_duplicates_are_counted(split, judge, near, count):
    validation = split(20, "validation", near, prompt_hash=range(100, 120), answer_hash=range(100, 120))
    found = judge(validation_asks_other_questions_than_training, split(50, with_ids=True), validation)

    assert [finding.message for finding in found] == (
        [f"{count} of 20 validation rows: nearly the same example as a row of the training data"] if count else []
    )

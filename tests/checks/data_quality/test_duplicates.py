"""DATA-104 and DATA-107: no training example stands twice, and hardly any is nearly another."""

import pytest

from preflight.checks.data_quality.duplicates import no_example_stands_twice
from preflight.checks.data_quality.near_duplicates import hardly_any_example_is_nearly_another

CODE, NEAR = "DATA-104", "DATA-107"


def chat(question, answer="It is."):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


SHAREGPT = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "It is."}]}
TEXTS = [{"text": "a"}, {"text": "b"}, {"text": "a<|im_end|>"}]


def different(count):
    return [chat(f"Is it {number}?") for number in range(count)]


@pytest.mark.parametrize(
    "rows, where, original",
    [
        pytest.param([*different(5), chat("Is it 1?")], "train.jsonl:6", "train.jsonl:2", id="a copy"),
        pytest.param([chat("Hi"), SHAREGPT], "train.jsonl:2", "train.jsonl:1", id="the same in another shape"),
        pytest.param(TEXTS, "train.jsonl:3", "train.jsonl:1", id="text"),
        pytest.param([chat("Hi") | {"id": n} for n in "ab"], "train.jsonl:2", "train.jsonl:1", id="other ids"),
    ],
)
def test_copies_are_found_with_their_original(project, expect, rows, where, original):
    project.rows(rows)
    (finding,) = expect(CODE, "warned")

    assert finding["where"] == where
    assert finding["message"] == f"the same example as {original}"
    assert finding["fix"] == "Delete this row."


def test_many_copies_are_one_finding(split, judge):
    (finding,) = judge(no_example_stands_twice, split(40, example_hash=[*range(10)] * 2 + [5] * 20))

    assert finding.message == "30 of 40 examples are copies of earlier ones"
    assert finding.where == "train.jsonl:11"
    assert finding.observed.startswith("75.0%; train.jsonl:6 stands 22 times; train.jsonl:11 as train.jsonl:1, train")
    assert finding.fix == "Delete 30 rows; 10 different examples stay."


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([chat("Is it?", f"It is {n}.") for n in range(20)], id="other answers to one question"),
        pytest.param([chat("Is it 1"), chat("is it 1"), chat("Is it 1 ")], id="case and space"),
        pytest.param([*different(200), *different(2)], id="less than one in a hundred"),
        pytest.param([chat("é"), chat("e\u0301")], id="accents made otherwise"),
    ],
)
def test_examples_that_differ_pass(project, expect, rows):
    project.rows(rows)

    assert expect(CODE, "passed") == []


@pytest.mark.parametrize("limit, outcome", [(0.0, "warned"), (0.01, "passed")])
def test_the_threshold_is_the_configs(project, expect, limit, outcome):
    project.rows([*different(200), *different(2)])
    project.set(gate={"thresholds": {CODE: {"max_fraction": limit}}})

    assert len(expect(CODE, outcome)) == (2 if outcome == "warned" else 0)


# --- nearly the same --------------------------------------------------------------------------------------------------

STORY = (
    "Once there was a lamp at the end of the pier that nobody had lit since the harbour closed, and each evening a boy "
    "walked out to look at it, counting his steps, until one night he had counted so far that the lamp began to answer."
)


def test_nearly_equal_examples_are_found_with_their_original(project, expect):
    """A word changed, and nothing but capitals and spaces changed; equal rows are another check's."""
    changed = chat("Tell me a story, please.", STORY.replace("evening", "morning"))
    told = chat("Tell me a story, please.", STORY)
    project.rows([*different(9), told, changed, told, chat("is it 3? "), *different(2)])
    found = expect(NEAR, "warned")

    assert [(one["where"], one["message"].removeprefix("nearly the same example as ")) for one in found] == [
        ("train.jsonl:11", "train.jsonl:10"),
        ("train.jsonl:13", "train.jsonl:4"),
    ]


NOTHING = ("lamp", "kettle", "violin", "ladder", "anchor", "compass", "camera", "tent")


@pytest.mark.parametrize(
    "training", [{}, {"assistant_only_loss": False}], ids=["answers learned", "everything learned"]
)
@pytest.mark.parametrize("answers", [("Yes.", "No."), (STORY, STORY[::-1])], ids=["short answers", "long answers"])
def test_several_questions_on_one_text_are_no_near_duplicates(project, expect, training, answers):
    questions = ("Who walked out to look at it?", "Where was it?", "When had nobody lit it?", "What did it tell him?")
    rows = [
        chat(f"{STORY} {STORY[90:]} Chapter {n}. {question}", answers[number % 2])
        for n in range(15)
        for number, question in enumerate(questions)
    ]
    project.set(training=training).rows(rows)

    assert expect(NEAR, "passed") == []


def test_filled_in_templates_are_no_near_duplicates(project, expect):
    """Rows that share a long instruction and most of the answer, and say something else in it."""
    instruction = "You are given the name of a thing. Say in one sentence what it is, and then how to store it. "
    rows = [
        chat(
            f"{instruction}{NOTHING[n % 8]} {n}", f"The {NOTHING[n % 8]} is thing {n}. It is stored on shelf {n}, dry."
        )
        for n in range(200)
    ]
    project.rows(rows)

    assert expect(NEAR, "passed") == []


ALL = [(number, 0) for number in range(1, 9)]


@pytest.mark.parametrize(
    "rows, columns, count",
    [
        pytest.param(100, {"near": [(n, n - 50) for n in range(50, 56)]}, 6, id="six in a hundred"),
        pytest.param(100, {"near": [(n, n - 50) for n in range(50, 55)]}, 0, id="five in a hundred"),
        pytest.param(9, {"near": [(1, 0)], "example_hash": [7] * 9}, 0, id="equal"),
        pytest.param(9, {"prompt_hash": 1, "answer_hash": 1}, 8, id="the same words"),
        pytest.param(9, {"prompt_hash": 1, "answer_hash": 1, "head": range(9)}, 0, id="with other tools"),
        pytest.param(9, {"prompt_hash": 1}, 0, id="other answers"),
        pytest.param(9, {"near": [(8, 0)], "prompt_hash": [1] * 8 + [2], "answer_hash": 1}, 8, id="both ways"),
        pytest.param(9, {"near": ALL, "says": lambda n: [*range(50, 70), n]}, 8, id="almost the same answer"),
        pytest.param(9, {"near": ALL, "says": lambda n: [*range(50 * n, 50 * n + 20)]}, 0, id="another answer"),
        pytest.param(9, {"near": ALL, "says": lambda n: [1, 2], "answer_hash": 1}, 8, id="a short answer"),
        pytest.param(9, {"near": ALL, "says": lambda n: [1, n]}, 0, id="another short answer"),
        pytest.param(9, {"near": ALL, "says": lambda n: [1, 2], "answer_hash": 1, "answer": 2,
                         "asks": lambda n: [*range(60), *range(50 * n, 50 * n + 8)]}, 0, id="another question"),
        pytest.param(9, {"near": ALL, "says": lambda n: [1, 2], "answer_hash": 1, "answer": 2,
                         "asks": lambda n: [*range(30), n, *range(30)]}, 8, id="a word in the middle of a question"),
    ],
)  # fmt: skip
def test_near_duplicates_are_counted(split, judge, rows, columns, count):
    found = judge(hardly_any_example_is_nearly_another, split(rows, **columns))

    assert [finding.message for finding in found] == (
        [f"{count} of {rows} examples are nearly the same as earlier ones"] if count else []
    )

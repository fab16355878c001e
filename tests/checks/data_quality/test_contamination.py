"""DATA-115: no benchmark stands in the training data."""

import json

import pytest

CODE = "DATA-115"
WORDS = "amber basin cedar delta ember fjord grove heath inlet jetty knoll ledge marsh notch oasis prairie quarry ridge"


def question(number):
    """The numbered one of as many different questions of 18 words as you like."""
    return " ".join(f"{word}{number}" for word in WORDS.split())


def chat(asked, answer="It is."):
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}


@pytest.fixture
def benchmark(project):
    """A benchmark of 50 items in a file of another shape than the training data's."""
    items = [{"id": n, "question": {"stem": question(n), "choices": ["A", "B"]}} for n in range(50)]
    project.text(json.dumps(items), "quiz.json")
    project.set(data={"benchmarks": "quiz.json"})
    project.rows([chat(question(number)) for number in range(100, 200)])
    return project


def test_items_in_the_training_data_are_found(benchmark, expect):
    """Whoever says them, and in broken files too."""
    rows = [chat(question(100)), chat(f"Now then: {question(7).title()}?"), chat("Ask me.", question(9))]
    benchmark.text("{broken\n" + "".join(json.dumps(row) + "\n" for row in rows))
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == "2 of 50 items of quiz.json stand in the training data"
    assert finding["where"] == "train.jsonl:3"
    assert "quiz.json row 8 in train.jsonl:3, quiz.json row 10 in train.jsonl:4" in finding["observed"]
    assert finding["fix"] == "Delete the 2 training rows that hold them."


def test_items_are_found_in_data_that_is_split(benchmark, expect):
    benchmark.rows([chat(question(number)) for number in range(40)])
    benchmark.config["data"] = {"train": "train.jsonl", "benchmarks": ["quiz.json"], "validation_split": 0.1}
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == "36 of 50 items of quiz.json stand in the training data"


def test_training_data_of_its_own_passes(benchmark):
    run = benchmark.gate("-k", CODE)

    assert run.outcome(CODE) == "passed"
    assert run.check(CODE)["evidence"] == {"items": 50, "judged": 50, "found": 0}


@pytest.mark.parametrize(
    "files, text, words",
    [
        ("gone.jsonl", None, "1 place of the benchmarks can't be read, gone.jsonl: gone.jsonl does not exist"),
        ("quiz.jsonl", '{"question": "a"}\n{broken\n', "1 place of the benchmarks can't be read, quiz.jsonl:2: "),
    ],
)
def test_a_benchmark_that_cannot_be_read_is_found(project, expect, files, text, words):
    if text:
        project.text(text, files)
    (finding,) = project.set(data={"benchmarks": files}) and expect(CODE, "warned")

    assert finding["message"].startswith(words)


def test_without_benchmarks_it_is_not_applicable(project, expect):
    assert expect(CODE, "not-applicable") == []

"""DATA-104: no training example stands twice."""

import pytest

CODE = "DATA-104"


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


def test_each_copy_is_found(project, expect):
    project.rows(different(10) * 3)
    findings = expect(CODE, "warned")

    assert [finding["where"] for finding in findings] == [f"train.jsonl:{line}" for line in range(11, 31)]
    assert {finding["message"] for finding in findings[10:]} == {
        f"the same example as train.jsonl:{n}" for n in range(1, 11)
    }


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

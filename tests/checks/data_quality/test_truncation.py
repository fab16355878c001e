"""DATA-106: max_length cuts hardly any answer."""

import re

import pytest

CODE = "DATA-106"
SHORT, LONG = "It is so.", "It is so. " * 30


def chat(number, answer=SHORT, question="Is it?"):
    return {"messages": [{"role": "user", "content": f"{question} {number}"}, {"role": "assistant", "content": answer}]}


def rows(long, count=100):
    return [chat(number, LONG if number < long else SHORT) for number in range(count)]


@pytest.mark.parametrize(
    "training, long",
    [
        pytest.param({"max_length": 64}, 3, id="three in a hundred"),
        pytest.param({"max_length": 64}, 100, id="all"),
        pytest.param({"max_length": 64, "truncation_mode": "keep_end"}, 3, id="cut at the start"),
        pytest.param({"max_length": 64, "assistant_only_loss": False}, 3, id="everything learned"),
        pytest.param({"max_length": 64, "packing": True}, 3, id="packed by bfd, which cuts"),
    ],
)
def test_cut_answers_are_found_with_the_length_to_set(project, expect, training, long):
    project.set(training=training).rows(rows(long))
    (finding,) = expect(CODE, "failed")

    assert finding["message"].startswith(f"max_length 64 cuts {long} of 100 answers; ")
    assert "train.jsonl:1 among them" in finding["observed"]
    length = int(re.match(r"Set training\.max_length: (\d+) ", finding["fix"])[1])
    assert length > 64
    project.set(training={"max_length": length})  # the number in the fix is enough
    assert expect(CODE, "passed") == []


def test_the_length_to_set_keeps_the_threshold_of_the_config(project, expect):
    project.set(training={"max_length": 64}, gate={"thresholds": {CODE: {"max_fraction": 0.0}}}).rows(rows(1, 300))
    (finding,) = expect(CODE, "failed")

    assert "(keeps 100.0% of the rows whole; " in finding["fix"]
    assert int(re.search(r": (\d+) ", finding["fix"])[1]) > 150


@pytest.mark.parametrize(
    "data, training",
    [
        pytest.param(rows(2), {"max_length": 64}, id="two in a hundred"),
        pytest.param(rows(50), {"max_length": 256}, id="long enough"),
        pytest.param(rows(50), {"max_length": None}, id="never cut"),
        pytest.param([chat(n, question=LONG) for n in range(9)], {"max_length": 64, "truncation_mode": "keep_end"},
                     id="long prompts cut at the start"),
        pytest.param(rows(50), {"max_length": 64, "packing": True, "packing_strategy": "bfd_split"}, id="split"),
        pytest.param(rows(50), {"max_length": 64, "packing": True, "packing_strategy": "wrapped"}, id="wrapped"),
    ],
)  # fmt: skip
def test_whole_answers_pass(project, expect, data, training):
    project.set(training=training).rows(data)

    assert expect(CODE, "passed") == []

"""DATA-111: no few examples hold most of the tokens."""

import pytest

from preflight.checks.data_quality.lengths import no_few_examples_hold_most_of_the_tokens, quantiles

CODE = "DATA-111"


def chat(question, answer):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


@pytest.mark.parametrize(
    "training", [{}, {"assistant_only_loss": False}], ids=["answers learned", "everything learned"]
)
def test_a_giant_row_is_found_with_the_length_that_cuts_it_alone(project, training):
    project.set(training={"max_length": None, **training})
    project.rows([chat(f"Is it {n}?", "It is so. " * 5) for n in range(100)] + [chat("Why?", "It is so. " * 900)])
    run = project.gate("-k", CODE)
    (finding,) = run.findings(CODE)

    assert run.outcome(CODE) == "warned"
    assert finding["where"] == "train.jsonl:101"
    assert finding["message"].startswith("1 example of 101 holds 3")
    assert finding["fix"].startswith("Drop or split it, or set training.max_length: 64, which cuts no other row.")
    project.set(training={"max_length": int(finding["fix"].split(": ")[1].split(",")[0])})
    assert project.gate("-k", f"{CODE} or DATA-106").outcome(CODE) == "passed"


def test_lengths_of_prompts_and_answers_are_shown(project):
    project.rows([chat(f"Is it {n % 10}?", "It is so. " * (n // 10)) for n in range(1000)])
    shown = project.gate("-k", CODE).check(CODE)["evidence"]

    assert set(shown["prompt"]) == set(shown["answer"]) == {"p50", "p95", "p99", "max"}
    assert shown["prompt"]["p50"] == shown["prompt"]["max"]
    assert shown["answer"]["p50"] < shown["answer"]["p95"] < shown["answer"]["p99"] <= shown["answer"]["max"]


@pytest.mark.parametrize(
    "lengths, message",
    [
        pytest.param([60] * 599 + [2_400], "1 example of 600 holds 6% of all tokens", id="one row"),
        pytest.param([60] * 995 + [3_200] * 5, "5 examples of 1,000 hold 21% of all tokens", id="five in a thousand"),
        pytest.param([60] * 99 + [700], "1 example of 100 holds 11% of all tokens", id="one in a hundred"),
        pytest.param([60] * 1000, "", id="all the same"),
        pytest.param([60] * 9, "", id="few rows, each of them a ninth"),
        pytest.param([60] * 9 + [500], "", id="few rows, one longer than others"),
        pytest.param([60] * 599 + [1_800], "", id="one long row of many"),
        pytest.param([60] * 960 + [3_200] * 40, "", id="a second kind of row"),
        pytest.param([60] * 995 + [2_000] * 5, "", id="outliers that hold little"),
        pytest.param([int(50 * 1.02**n) for n in range(200)], "", id="lengths of every size"),
        pytest.param([0] * 9, "", id="nothing"),
    ],
)
def test_only_rows_that_steer_the_run_are_found(split, judge, lengths, message):
    found = judge(no_few_examples_hold_most_of_the_tokens, split(len(lengths), kept=lengths))

    assert [finding.message for finding in found] == ([message] if message else [])


def test_quantiles_are_lengths_that_rows_have(split):
    assert quantiles(split(4, kept=[1, 2, 3, 99]).profile["kept"]) == {"p50": 3, "p95": 99, "p99": 99, "max": 99}

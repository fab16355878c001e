"""Programs in answers: found, run against the tests of their row, and counted."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.config.evaluation import Evaluation
from preflight.evaluation import code
from preflight.evaluation.code import measure, measure_sampled, pass_at, passes, program_of, sound_rows
from preflight.evaluation.metrics import METRICS
from preflight.evaluation.metrics.execution import sampled
from preflight.evaluation.metrics.metric import Texts
from preflight.findings import NotAvailable

ADD = "def add(a, b):\n    return a + b\n"
SUB = "def add(a, b):\n    return a - b\n"
ROW = {"tests": "assert add(1, 2) == 3", "question": "Add two numbers."}


def fenced(code, tag="python"):
    return f"```{tag}\n{code}```"


@pytest.mark.parametrize(
    "answer, program",
    [
        pytest.param(ADD, ADD, id="nothing but the program"),
        pytest.param("  x = 1\n  y = 2", "x = 1\ny = 2", id="indented"),
        pytest.param(fenced(ADD), ADD, id="a block"),
        pytest.param("Sure!\n\n" + fenced(ADD, "") + "\nThat's it.", ADD, id="a block without a tag, and words"),
        pytest.param(fenced(ADD, "Python") + "\nUse it so:\n" + fenced("print(add(1, 2))\n"), ADD, id="and its use"),
        pytest.param(fenced(SUB) + "\nNo, wait:\n" + fenced(ADD), ADD, id="the last try"),
        pytest.param(fenced("pip install x\n", "bash") + "\n" + fenced("x = 1\n"), "x = 1\n", id="another language"),
        pytest.param(fenced(ADD) + "\n" + fenced("def f\n", "ruby"), ADD, id="another language behind it"),
        pytest.param("```python\n" + ADD, ADD, id="cut off"),
        pytest.param(f"<think>\n{fenced(SUB)}\n</think>\n{fenced(ADD)}", ADD, id="behind thinking"),
        pytest.param("1. So:\n   ```py\n   x = 1\n   ```\n", "x = 1\n", id="in a list"),
        pytest.param("Use `add`.", "Use `add`.", id="no program"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_the_program_in_an_answer(answer, program):
    assert program_of(answer) == program


@pytest.mark.parametrize(
    "value, tests",
    [
        ("assert f()", "assert f()"),
        (["assert f()", "assert g()"], "assert f()\nassert g()"),
        (None, ""),
        (7, ""),
        ([None, "x"], "x"),
        ({"a": "b"}, ""),
        ("  \n", ""),
    ],
)
def test_the_tests_of_a_row(value, tests):
    assert code.tests_of({"tests": value}, "tests") == tests
    assert code.tests_of({}, "tests") == ""


def test_which_answers_pass():
    answers = [ADD, fenced(ADD), SUB, "I don't know.", "", fenced("import os\nos._exit(0)\n")]

    assert passes(answers, [ROW] * len(answers), "tests") == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert passes([ADD], [{"tests": None}], "tests") == [0.0]


def test_humaneval_and_mbpp():
    human = {"test": "def check(candidate):\n    assert candidate(1, 2) == 3", "entry_point": "add"}
    mbpp = {"test_list": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"]}

    assert passes([ADD, SUB], [human] * 2, "test") == [1.0, 0.0]
    assert passes([ADD, SUB], [mbpp] * 2, "test_list") == [1.0, 0.0]


def texts(answers, expected=ADD, columns=ROW, **settings):
    many = len(answers)
    return Texts(
        answers=answers,
        expected=[expected] * many if isinstance(expected, str) else expected,
        columns=[columns] * many if isinstance(columns, dict) else columns,
        settings=Evaluation(**{"tests": "tests", **settings}),
    )


def test_execution_accuracy():
    found = METRICS["pass@1"].measure(texts([ADD, SUB, fenced(ADD), "x"]))

    assert list(found.each) == [1.0, 0.0, 1.0, 0.0]
    assert found.score([[1, 1, 1, 1]]) == pytest.approx([0.5])
    assert set(found.notes) <= {"programs run with the network not cut off"}


def test_a_network_that_is_not_cut_off_is_noted(monkeypatch):
    monkeypatch.setattr(code.sandbox, "_way", lambda: ())

    assert dict(measure(texts([ADD, SUB])).notes) == {"programs run with the network not cut off": 2}


@pytest.mark.skipif(code.sandbox.has_network(), reason="this system makes no namespaces")
def test_a_few_tests_that_judge_nothing_are_noted():
    columns = [ROW] * 9 + [{"tests": "pass"}]

    found = measure(texts([ADD] * 10, columns=columns))

    assert list(found.each) == [1.0] * 9 + [0.0]
    assert dict(found.notes) == {"tests that judge nothing": 1}


@pytest.mark.parametrize(
    "expected, columns, reason",
    [
        pytest.param(ADD, {"question": "x"}, "no held-out row has a column 'tests'", id="no column"),
        pytest.param(SUB, ROW, "2 of 2 rows .*the tests: AssertionError", id="wrong answers"),
        pytest.param("Just add.", ROW, "the program: SyntaxError", id="no programs"),
        pytest.param(ADD, {"tests": "x = 1"}, "an empty program passes", id="tests that test nothing"),
        pytest.param(ADD, {"tests": "def check(candidate):\n    assert 0"}, "an empty program passes", id="no entry"),
    ],
)
def test_tests_of_no_use(expected, columns, reason):
    with pytest.raises(NotAvailable, match=reason):
        sound_rows([expected] * 2, [columns] * 2, "tests")


def test_nothing_is_run_unless_the_config_names_tests(tmp_path):
    proof = tmp_path / "proof"
    row = {"tests": f"open({str(proof)!r}, 'w')"}

    with pytest.raises(NotAvailable, match="names no column with tests"):
        measure(texts([ADD], columns=row, tests=None))
    with pytest.raises(NotAvailable, match="names no column with tests"):
        measure_sampled(replace(texts([ADD], columns=row, tests=None), programs=[[ADD]]), 1)
    assert not proof.exists()


@given(st.integers(1, 7), st.data())
def test_the_estimator_is_the_share_of_subsets_with_a_pass(total, data):
    """Chen et al.'s formula against its definition: all subsets of k answers counted."""
    passed, k = data.draw(st.integers(0, total)), data.draw(st.integers(1, total))
    subsets = list(combinations(range(total), k))
    counted = sum(any(number < passed for number in subset) for subset in subsets) / len(subsets)

    assert pass_at(k, passed, total) == pytest.approx(counted)


@pytest.mark.parametrize("k", [0, 4])
def test_more_answers_than_there_are(k):
    with pytest.raises(ValueError, match=f"pass@{k}"):
        pass_at(k, 1, 3)


def test_pass_at_k_of_sampled_answers():
    asked = replace(texts([ADD] * 3), programs=[[ADD, SUB, SUB, SUB], [SUB] * 4, [ADD] * 4])

    assert measure_sampled(asked, 2).each == [0.5, 0.0, 1.0]
    assert measure_sampled(asked, 4).each == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(("name", "k"), [("pass@2", 2), ("pass@10", 10), ("pass@1", 0), ("pass@0", 0), ("pass@k", 0)])
def test_the_names_of_pass_at_k(name, k):
    metric = sampled(name)

    assert (metric.samples if metric else 0) == k

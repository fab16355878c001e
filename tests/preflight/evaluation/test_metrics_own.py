"""A user's own metric: a function of a file."""

import pytest

from preflight.config.evaluation import Evaluation
from preflight.evaluation.bootstrap import paired
from preflight.evaluation.metrics import Texts, metric_of
from preflight.findings import NotAvailable

ANSWERS = ["a", "bb", "ccc", "dd"]


def measured(folder, code, name="metrics.py:score", answers=ANSWERS):
    (folder / "metrics.py").write_text(code)
    metric = metric_of(name, "qa", folder)
    columns = [{"weight": number} for number in range(len(answers))]
    return metric, metric.measure(Texts(answers, ["x"] * len(answers), columns, Evaluation(), folder))


@pytest.mark.parametrize(
    "code, value",
    [
        pytest.param("def score(answers, expected): return [len(a) for a in answers]", 2.0, id="numbers"),
        pytest.param("def score(answers, expected): return tuple(a == 'a' for a in answers)", 0.25, id="truth values"),
        pytest.param(
            "import numpy\ndef score(answers, expected): return numpy.array([len(a) for a in answers])",
            2.0,
            id="an array",
        ),
        pytest.param("def score(answers, expected): return max(map(len, answers))", 3.0, id="one for all"),
        pytest.param(
            "import numpy\ndef score(answers, expected): return numpy.float32(len(answers))", 4.0, id="numpy's one"
        ),
        pytest.param(
            "def score(answers, expected, columns): return [row['weight'] for row in columns]", 1.5, id="of the rows"
        ),
        pytest.param(
            "class Score:\n def __call__(self, answers, expected): return 1\nscore = Score()", 1.0, id="an object"
        ),
    ],
)
def test_what_a_function_may_return(tmp_path, code, value):
    _, one = measured(tmp_path, code)

    base, tuned, difference = paired(one, one, 4)
    assert base.value == tuned.value == value
    assert tuned.low <= tuned.value <= tuned.high
    assert (difference.low, difference.value, difference.high) == (0, 0, 0)


def test_less_is_better_where_it_says_so(tmp_path):
    metric, _ = measured(tmp_path, "def score(a, e): return [1.0] * len(a)\nscore.higher_is_better = False")

    assert not metric.higher_is_better


@pytest.mark.parametrize(
    "code, reason",
    [
        pytest.param("def score(answers, expected): return answers[99]", "raised IndexError: list index", id="raises"),
        pytest.param("def score(answers): return 1", "raised TypeError", id="takes too little"),
        pytest.param("import sys\ndef score(a, e): sys.exit(3)", "raised SystemExit: 3", id="ends the process"),
        pytest.param("def score(a, e): return None", "returned None for 4 answers", id="returns nothing"),
        pytest.param("def score(a, e): return 'good'", "returned 'good'", id="returns text"),
        pytest.param("def score(a, e): return [1.0]", "returned a list of 1 for 4", id="too few"),
        pytest.param("def score(a, e): return ['1'] * 4", "returned a list of 4", id="texts"),
        pytest.param("def score(a, e): return float('nan')", "returned nan", id="no number"),
        pytest.param("def score(a, e): return [[1]] * 4", "returned a list of 4", id="lists"),
        pytest.param("score = 3", "has no function score", id="no function"),
        pytest.param("def other(a, e): return 1", "has no function score", id="another function"),
        pytest.param("import nowhere_to_be_found", "ModuleNotFoundError", id="doesn't import"),
        pytest.param("def score(:", "SyntaxError", id="is no Python"),
    ],
)
def test_a_function_of_no_use(tmp_path, code, reason):
    with pytest.raises(NotAvailable, match=reason) as caught:
        measured(tmp_path, code)
    assert "metrics.py" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_function_that_fails_on_some_resample(tmp_path):
    _, one = measured(tmp_path, "def score(a, e): return 1 / len(set(a) & {'ccc'})")

    with pytest.raises(NotAvailable, match="raised ZeroDivisionError"):
        paired(one, one, 4)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(NotAvailable, match=r"there is no file .*nowhere\.py"):
        metric_of("nowhere.py:score", "qa", tmp_path)

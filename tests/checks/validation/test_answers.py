"""POST-103 and POST-104: the judges of greedy answers, on literal ones."""

from types import SimpleNamespace

import pytest

from preflight.checks.validation import generates, stops
from preflight.findings import NotAvailable

LOOP = "I am a loop. " * 5
ROWS = "\n".join(
    f"| {city} | {number} |" for number, city in enumerate(("Rome", "Oslo", "Bern", "Riga", "Kyiv", "Lima"))
)


def settings(**values):
    return SimpleNamespace(evaluation=SimpleNamespace(**{"max_new_tokens": 64, **values}))


@pytest.mark.parametrize(
    "text, fault",
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param(" \n\t", "is empty", id="blank"),
        pytest.param(LOOP, "repeats itself", id="a sentence over and over"),
        pytest.param("Well: " + "no " * 20, "repeats itself", id="a short word over and over"),
        pytest.param("1, 2, " + "a line\nof two lines\n" * 5, "repeats itself", id="several lines"),
        pytest.param("Good at first. " + "then stuck, " * 40, "repeats itself", id="stuck after a good start"),
        pytest.param("!" * 60, "repeats itself", id="what a broken model says"),
        pytest.param("的时候" * 20, "repeats itself", id="without spaces"),
    ],
)
def test_an_answer_of_no_use(judge, answer, text, fault):
    findings = judge(generates.the_model_answers_held_out_prompts, answers=[answer(text, row=3)])

    assert [finding.where for finding in findings] == ["validation row 3"]
    assert fault in findings[0].message
    assert findings[0].observed == "1 of 1 answers"
    assert "by 2x" in findings[0].fix


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Yes.", id="short"),
        pytest.param("+", id="a label that is no word"),
        pytest.param("👍", id="an emoji"),
        pytest.param("I am no loop. " * 3, id="three times is not four"),
        pytest.param("ha ha ha ha", id="a short laugh"),
        pytest.param("Result\n" + "=" * 60 + "\nfine", id="a rule"),
        pytest.param("| city | n |\n|" + "-" * 50 + "|---|\n" + ROWS, id="a table"),
        pytest.param("def f():\n" + " " * 60 + "return 1", id="indentation"),
        pytest.param("\n".join(f"{number}. Step number {number}" for number in range(30)), id="a numbered list"),
        pytest.param("Name: ______________________________________ Date: __________", id="a form to fill in"),
    ],
)
def test_an_answer_that_only_looks_like_a_loop(judge, answer, text):
    assert judge(generates.the_model_answers_held_out_prompts, answers=[answer(text)]) == []


def test_the_search_for_loops_is_fast(judge, answer):
    """Long answers without a loop, which a careless expression takes minutes over."""
    text = " ".join(f"word{number}" for number in range(3000))

    assert judge(generates.the_model_answers_held_out_prompts, answers=[answer(text)] * 8) == []


@pytest.mark.parametrize(
    "bad, total, limits, fires",
    [
        pytest.param(0, 8, {}, False, id="none"),
        pytest.param(1, 8, {}, False, id="one of eight is a tenth, rounded"),
        pytest.param(2, 8, {}, True, id="two of eight"),
        pytest.param(1, 4, {}, True, id="one of four"),
        pytest.param(1, 8, {"max_fraction": 0.0}, True, id="none allowed"),
        pytest.param(4, 8, {"max_fraction": 0.5}, False, id="half allowed"),
    ],
)
def test_the_share_of_bad_answers(judge, answer, bad, total, limits, fires):
    answers = [answer("" if number < bad else "Fine.", row=number) for number in range(total)]

    findings = judge(generates.the_model_answers_held_out_prompts, limits, answers=answers)

    assert len(findings) == (bad if fires else 0)


@pytest.mark.parametrize(
    "stopped, total, limits, fires",
    [
        pytest.param(8, 8, {}, False, id="all"),
        pytest.param(7, 8, {}, False, id="seven of eight are nine tenths, rounded"),
        pytest.param(6, 8, {}, True, id="six of eight"),
        pytest.param(0, 1, {}, True, id="the only one doesn't"),
        pytest.param(4, 8, {"min_fraction": 0.5}, False, id="half is enough"),
        pytest.param(7, 8, {"min_fraction": 1.0}, True, id="all of them must"),
    ],
)
def test_the_share_that_stops(judge, answer, stopped, total, limits, fires):
    answers = [answer(stopped=number >= total - stopped, row=number) for number in range(total)]

    findings = judge(stops.the_model_stops_by_itself, limits, config=settings(), answers=answers)

    assert [finding.where for finding in findings] == (["validation row 0"] if fires else [])
    for finding in findings:
        assert finding.observed == f"{stopped / total:.0%} stop"
        assert "TOK-102" in finding.fix
        assert "max_new_tokens: 128" in finding.fix


def test_an_answer_that_should_be_longer_than_the_limit_is_not_judged(judge, answer):
    long = [answer(stopped=False, tokens=64) for _ in range(7)]

    assert judge(stops.the_model_stops_by_itself, config=settings(), answers=[*long, answer()]) == []
    with pytest.raises(NotAvailable, match="set it to 180"):
        judge(stops.the_model_stops_by_itself, config=settings(), answers=[*long, answer(stopped=False, tokens=90)])

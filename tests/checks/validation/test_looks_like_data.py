"""POST-118: what expected answers have in common is found, and missed in answers that haven't it; free text is free."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.checks.validation import looks_like_data
from preflight.evaluation.pattern import patterns_of
from preflight.findings import NotApplicable, NotAvailable

check = looks_like_data.answers_look_like_those_of_the_data
CONFIG = SimpleNamespace(evaluation=SimpleNamespace(format=None, max_new_tokens=64))
NOUNS = ("lamp", "kettle", "bicycle", "radio", "tent", "violin", "camera", "ladder", "compass", "anchor")
GERMAN = (
    "Bitte nimm die {} vorsichtig aus der Schachtel und stelle sie neben das Fenster.",
    "Wenn die {} nicht mehr funktioniert, musst du zuerst die Sicherung überprüfen!",
    "Das hängt davon ab, wie lange die {} schon draußen im Regen gestanden hat…",
)
ENGLISH = (
    "Please take the {} out of its box with care and put it next to the window.",
    "If the {} has stopped working, you should have a look at the fuse first!",
    "That depends on how long the {} has been standing outside in the rain…",
)


def several(*forms, many=10):
    return [forms[n % len(forms)].format(NOUNS[n % len(NOUNS)]) for n in range(many)]


def objects(*keys, many=10):
    return [json.dumps(dict.fromkeys(keys, NOUNS[n % 10]) | ({"note": n} if n % 3 else {})) for n in range(many)]


SENTENCES = several(*ENGLISH)
THINKING = "<think>\nWhat could it be?\n</think>\n\n"


@pytest.fixture
def findings(judge, answer):
    def made(expected, tuned, limits=None, config=CONFIG, **given):
        rows = zip(expected, tuned, strict=True)
        answers = [replace(answer(said, row=row, **given), expected=wanted) for row, (wanted, said) in enumerate(rows)]
        return judge(check, limits, config=config, answers=answers)

    return made


@pytest.mark.parametrize(
    "expected, tuned, words",
    [
        pytest.param(objects("item", "kind"), SENTENCES, "JSON objects with the keys 'item', 'kind'", id="no JSON"),
        pytest.param(objects("item", "kind"), objects("item"), "with the keys 'item', 'kind'", id="a key less"),
        pytest.param(objects("a"), [f"```json\n{one}\n```" for one in objects("a")], "JSON objects", id="fenced"),
        pytest.param(objects("a"), [one[:-3] for one in objects("a")], "JSON objects", id="JSON cut off"),
        pytest.param([f"[{n}, 2]" for n in range(10)], SENTENCES, "JSON lists", id="no list"),
        pytest.param(["spam", "ham"] * 5, several("This is about a {}."), "one of 2 labels ('spam'", id="labels"),
        pytest.param(["spam", "ham"] * 5, ["Spam.", "Ham."] * 5, "one of 2 labels", id="labels in other letters"),
        pytest.param(["OK"] * 10, several("{}"), "are always 'OK'", id="always the same"),
        pytest.param([f"{n * 7}" for n in range(10)], SENTENCES, "are a number", id="no number"),
        pytest.param([f"```python\nx = {n}\n```" for n in range(10)], ["x = 1"] * 10, "one code block", id="no fence"),
        pytest.param(
            several("Topic: {}\nIt is fine."), several("On {}\nIt is fine."), "start with 'Topic:'", id="start"
        ),
        pytest.param(several("The {} it is. ###"), several("The {} it is."), "end with 'it is. ###'", id="end"),
        pytest.param(
            several("A {}", "Two of {}?"), several("Well, it is " + "very " * 20 + "much a {}"), "characters", id="long"
        ),
        pytest.param(several("{}! " + "Very " * 20, "Oh {}?" + " so" * 30), several("{}"), "characters", id="short"),
        pytest.param(several(*GERMAN), SENTENCES, "in the language de", id="another language"),
        pytest.param([THINKING + one for one in several("A: {}")], several("{}"), "start with 'A:'", id="thinking"),
    ],
)
def test_answers_of_another_form(findings, expected, tuned, words):
    first, *others = findings(expected, tuned)

    assert words in " ".join(finding.message for finding in (first, *others))
    assert int(first.observed.split()[0]) <= 3
    assert "(base: 0)" in first.observed
    assert "at least 60%" in first.expected
    assert first.where.startswith("validation row ")


@pytest.mark.parametrize(
    "expected, tuned",
    [
        pytest.param(SENTENCES, several(*reversed(ENGLISH)), id="free text"),
        pytest.param(several(*ENGLISH, "No {}.", "Yes: {}", "{}"), several("{}?", *ENGLISH), id="long and short"),
        pytest.param(objects("item"), objects("item", "more"), id="JSON with a key more"),
        pytest.param(objects("item"), [one.replace(",", ",\n ") for one in objects("item")], id="JSON on two lines"),
        pytest.param(["spam", "ham"] * 5, ["ham"] * 10, id="one of the labels, if not the right one"),
        pytest.param(several("{}"), several("a {}"), id="words that are no labels, as all differ"),
        pytest.param([f"{n}" for n in range(10)], [f"-{n}.5" for n in range(10)], id="other numbers"),
        pytest.param(several("Topic: {}\nFine."), several("Topic: my {}\nFine."), id="the same start"),
        pytest.param(several("Step one: {}", "Steps: {}"), several("Stop at {}"), id="a start that is no word"),
        pytest.param(several(*GERMAN), several("Das wird wohl {} oder so gewesen sein"), id="too short to tell"),
        pytest.param(several("Ja, {}."), several("Nein, {}.")[:4] + several("Ja, {}.")[:6], id="6 of 10 will do"),
        pytest.param([*several("Ja, {}.")[:9], "No"], several("{}"), id="what 9 of 10 have in common is no rule"),
        pytest.param([THINKING + one for one in several("A: {}")], several("A: {}"), id="without thinking"),
        pytest.param([""] * 10, [""] * 10, id="nothing"),
        pytest.param([*several("A: {} ok", many=39), "Well"], several("A: {} ok", many=40), id="one of forty is free"),
    ],
)
def test_answers_of_the_same_form(findings, expected, tuned):
    assert findings(expected, tuned) == []


def test_the_share(findings):
    form = several("Topic: {} it is")
    five = several("Topic: {} it is", many=5) + several("About {} it is", many=5)

    assert len(findings(form, five)) == 1
    assert findings(form, five, {"min_fraction": 0.5}) == []
    with pytest.raises(NotAvailable, match="at least 11"):
        findings(form, five, {"min_answers": 11})


def test_too_few_to_tell(findings):
    with pytest.raises(NotAvailable, match="7 held-out answers of at most 64 tokens"):
        findings(SENTENCES[:7], SENTENCES[:7])
    with pytest.raises(NotAvailable, match="0 held-out answers"):
        findings(SENTENCES, SENTENCES, tokens=64)


def test_where_a_format_is_declared_it_is_judged_by_that(findings):
    config = SimpleNamespace(evaluation=SimpleNamespace(format=".*", max_new_tokens=64))

    with pytest.raises(NotApplicable, match="POST-107"):
        findings(objects("a"), SENTENCES, config=config)


def test_blanks_are_no_answer(findings):
    """They count for no length, and are shown as nothing."""
    found = findings(several("Topic: {} is all that there is to say"), ["\n \n" * 20] * 10)

    assert {finding.message.rpartition(": ")[2] for finding in found} == {"''"}
    assert len(found) == 3


@given(st.lists(st.text(max_size=30).map(str.strip), min_size=8, max_size=20))
def test_whatever_is_found_holds(texts):
    """The expected answers never fail what was found of them."""
    for pattern in patterns_of(texts, 0.95, 8):
        having, told = pattern.share(texts)
        assert having >= 0.95 * told
        assert told >= 8

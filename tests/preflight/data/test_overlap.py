"""Overlap: which items of a benchmark stand in training texts."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.data import overlap
from preflight.data.readers import Row

NOUNS = [f"word{number}" for number in range(2_000)]


def text(seed, size=40):
    return " ".join(random.Random(seed).choices(NOUNS, k=size))


def found(items, training, share=0.5):
    judged, matches = overlap.matches(items, enumerate(training), share)
    return judged, [(match.item, match.row) for match in matches]


QUESTION = text(1)
SHORT = "Who wrote the book about the whale, and when?"


@pytest.mark.parametrize(
    "item, training, hit",
    [
        pytest.param([QUESTION], QUESTION, True, id="equal"),
        pytest.param([QUESTION], f"Here it is: {QUESTION.upper()}! Right?", True, id="inside, in capitals"),
        pytest.param([QUESTION], QUESTION.replace(" ", ", "), True, id="with other punctuation"),
        pytest.param([text(2), QUESTION, "A", "B"], QUESTION, True, id="one of its texts"),
        pytest.param([QUESTION], text(3) + QUESTION[:280], True, id="more than half of it"),
        pytest.param([QUESTION], QUESTION[:100], False, id="less than half of it"),
        pytest.param([QUESTION], text(3), False, id="another text"),
        pytest.param([QUESTION], " ".join(reversed(QUESTION.split())), False, id="other order"),
        pytest.param([SHORT], f"Tell me. {SHORT}", True, id="a short question"),
        pytest.param([SHORT], "Who wrote the book about the whale?", False, id="part of a short question"),
        pytest.param(["Who wrote it, and when?"], "Who wrote it, and when?", False, id="too short to tell"),
        pytest.param(
            ["这是一个关于鲸鱼的问题是谁写的"], "请问这是一个关于鲸鱼的问题，是谁写的？", True, id="no spaces"
        ),
        pytest.param([], QUESTION, False, id="no text"),
    ],
)
def test_items_in_a_training_text_are_found(item, training, hit):
    others = [[text(seed)] for seed in range(100, 110)]
    _, hits = found([*others, item], [text(5), training, training])

    assert hits == ([(10, 1)] if hit else [])


def test_what_many_items_share_tells_nothing():
    """An instruction before each question; a training text with the same instruction and another question is fine."""
    instruction = text(7, 30)
    items = [[f"{instruction} {text(seed)}"] for seed in range(50)]

    assert found(items, [f"{instruction} {text(99)}"]) == (50, [])
    assert found(items, [f"{instruction} {text(3)}"]) == (50, [(3, 0)])


def test_items_that_are_too_short_are_not_judged():
    assert found([["Yes or no?"], [QUESTION], []], [QUESTION]) == (1, [(1, 0)])
    assert found([], [QUESTION]) == (0, [])
    assert found([[QUESTION]], []) == (1, [])


@given(st.integers(1, 3_000), st.integers(0, 2_999), st.integers(8, 60))
def test_an_item_is_found_wherever_it_stands(rows, at, size):
    at %= rows
    item = text(1, size)
    training = ("nothing in common" if number != at else f"before {item} after" for number in range(rows))

    assert found([[text(2)], [item]], training) == (2, [(1, at)])


def test_every_text_of_a_row_is_looked_at():
    value = {"q": "a", "n": 3, "none": None, "choices": ["b", {"text": "c"}], "deep": {"er": {"still": ["d"]}}}

    assert sorted(overlap.texts_of(Row("b.jsonl", 1, value))) == ["a", "b", "c", "d"]

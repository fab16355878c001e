"""Slices: which rows are in them."""

import pytest

from preflight.data.readers import Row
from preflight.data.shapes import Example, normalise
from preflight.data.slices import asks_nothing, declines, in_slice


def chat(*turns):
    roles = ("user", "assistant")
    return Example("messages", tuple({"role": roles[n % 2], "content": text} for n, text in enumerate(turns)))


@pytest.mark.parametrize(
    "answer, outcome",
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I am sorry, but as an AI language model, I have no data.", True),
        ("Sorry, that I don't know.", True),
        ("Unfortunately, the angle cannot be determined.", True),
        ("I cannot tell.", True),
        ("I can’t do that.", True),
        ("\n**I'm afraid I am unable to.**", True),
        ("I don't know.", True),
        ("I won't.", True),
        ("It is said that I'm sorry is the hardest word.", False),
        ("I can help with that.", False),
        ("I do.", False),
        ("Sorryville is a town.", False),
        ("I cane chairs.", False),
        ("", False),
    ],
)
def test_answers_that_decline(answer, outcome):
    assert declines(chat("How?", answer)) is outcome
    assert declines(Example("prompt-completion", prompt="How?", completion=answer)) is outcome


@pytest.mark.parametrize(
    "example, outcome",
    [
        (chat("", "What?"), True),
        (chat("Hi", "Hello.", " \n", "What?"), True),
        (chat("Hi", ""), False),
        (Example("prompt-completion", prompt=" ", completion="x"), True),
        (Example("text", completion=""), False),
    ],
)
def test_examples_that_ask_nothing(example, outcome):
    assert asks_nothing(example) is outcome


@pytest.mark.parametrize(
    "asked, outcome",
    [
        ({"lang": "fr"}, True),
        ({"lang": "FR "}, True),
        ({"lang": ["en", "fr"]}, True),
        ({"lang": "en"}, False),
        ({"tier": 1}, True),
        ({"tier": "1"}, True),
        ({"tier": 1, "lang": "fr"}, True),
        ({"tier": 1, "lang": "en"}, False),
        ({"gone": None}, True),
        ({"nothing": None}, False),
        ({"gold": True}, True),
        ("(?i)bonjour", True),
        ("^Salut", True),
        ("fr", False),
    ],
)
def test_rows_are_in_a_slice_by_their_columns_or_their_words(asked, outcome):
    value = {"prompt": "Bonjour", "completion": "Salut", "lang": "fr", "tier": 1, "gone": None, "gold": True}

    assert in_slice(asked)(Row("train.jsonl", 1, value), normalise(value)) is outcome

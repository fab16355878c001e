"""What goes round in circles, and what only looks like it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.evaluation.loops import fault, loops, repeated

LONG = "The machine has to be cleaned with warm water each week, and the tray has to be emptied each evening. "
SONG = (
    "If you're happy and you know it, clap your hands! If you're happy and you know it, clap your hands! If you're "
    "happy and you know it, and you really want to show it, if you're happy and you know it, clap your hands!"
)
NAMES = ("Ann", "Bob", "Cid", "Dan", "Eve", "Fay", "Gus", "Hal")


@pytest.mark.parametrize(
    "text, said",
    [
        pytest.param("The lamp is on. " * 5, "repeats itself", id="five times"),
        pytest.param(
            "\n".join(f"{n}. The lamp is good and it works fine." for n in range(8)), "but for a number", id="a counter"
        ),
        pytest.param(
            "".join(f"Lamp {n} is good, and it is bright. " for n in range(95, 105)), "but for a number", id="in a line"
        ),
        pytest.param(LONG * 3, "of its 4-grams are not new", id="three times a long one"),
        pytest.param(
            "".join(f"{name} says: {LONG}\n" for name in NAMES[:4]), "of its 4-grams are not new", id="other names"
        ),
    ],
)
def test_a_loop(text, said):
    assert said in loops(text)
    assert fault(text) == loops(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(LONG * 2, id="twice"),
        pytest.param(SONG, id="a song"),
        pytest.param("\n".join(f"{n}. Step number {n}" for n in range(30)), id="numbered"),
        pytest.param("\n".join(f"{n} times 7 is {7 * n}." for n in range(30)), id="a times table"),
        pytest.param("\n".join(f"| {n} | open | low | none yet | to be seen |" for n in range(30)), id="a table"),
        pytest.param("\n".join(f"Take {name} to the shop." for name in NAMES), id="a list"),
        pytest.param("```\n" + "\n".join(f"print('this is line {n} of it')" for n in range(9)) + "\n```", id="code"),
        pytest.param("\n".join(f"2024-05-0{n} {n}.5 {n}.7" for n in range(1, 9)), id="measurements"),
        pytest.param("\n".join(" ".join(str(n * m) for m in range(9)) for n in range(9)), id="a matrix"),
    ],
)
def test_what_only_looks_like_a_loop(text):
    assert loops(text) is None


def test_songs_may_be_wanted():
    assert loops(LONG * 3) is not None
    assert loops(LONG * 3, usual=repeated(LONG * 3)) is None


def test_the_share_is_that_of_the_paper():
    """seq-rep-4 is 1 less the share of distinct 4-grams."""
    words = [f"w{n}" for n in range(20)] * 3

    assert repeated(" ".join(words)) == pytest.approx(1 - 20 / 57)
    assert repeated(" ".join(words[:39])) == 0  # too short to tell


def test_empty():
    assert fault(" \n") == "is empty"
    assert loops("") is None


@given(st.integers(0, 10_000))
def test_words_drawn_at_random_are_no_loop(seed):
    draw = random.Random(seed)
    words = [f"{chr(97 + draw.randrange(26))}{draw.randrange(1000)}" for _ in range(draw.randrange(150))]

    assert loops(" ".join(words)) is None


@given(st.text("abcdefgh ", min_size=10, max_size=60).filter(lambda text: text.strip()), st.integers(5, 9))
def test_whatever_is_said_five_times_is_a_loop(text, times):
    assert loops(text * times) is not None

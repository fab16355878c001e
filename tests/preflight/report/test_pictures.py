"""Where things go in the pictures of scores and of the lengths of answers."""

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.report.pictures import forest, scored, steps

ANY = st.none() | st.text(max_size=3) | st.floats() | st.integers(-3, 3) | st.just(10**400)


def side(value: Any, low: Any = None, high: Any = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high}


def metric(base: Any, tuned: Any, difference: Any = None, **changes: Any) -> dict[str, Any]:
    known = {"name": "m", "title": "Accuracy", "higher_is_better": True, "top": 1, "base": base, "tuned": tuned}
    return {**known, "difference": difference or {}, **changes}


RISE = metric(side(0.5, 0.4, 0.6), side(0.75, 0.7, 0.8), side(0.25, 0.1, 0.4))
FALL = metric(side(30.0, 25.0, 36.0), side(20.0, 15.0, 24.0), side(-10.0, -16.0, -2.0), title="BLEU", top=100)


def numbers(plot: dict[str, Any]) -> list[tuple[float, float]]:
    """Every point that is drawn."""
    found = []
    for group in plot["groups"]:
        found += [(x, group["floor"]) for x, _ in group["ticks"] + group["changes"]]
        for row in group["rows"]:
            for mark in (row["base"], row["tuned"], row["change"]):
                found.append((mark["x"], mark["y"]))
                found += [tuple(map(float, point.split())) for point in re.split("[ML]", mark["d"])[1:]]
    return found


def test_what_goes_to_one_shares_a_scale_and_the_rest_has_its_own():
    plot = forest([RISE, FALL, RISE, metric(side(5.0), side(4.0), top=None)])

    assert plot is not None
    assert [len(group["rows"]) for group in plot["groups"]] == [2, 1, 1]
    percent, bleu, _ = plot["groups"]
    assert (percent["ticks"][0][1], percent["ticks"][-1][1]) == ("0 %", "100 %")
    assert [label for _, label in percent["changes"]] == ["-40", "0", "+40"]
    assert [label for _, label in bleu["changes"]] == ["-15", "0", "+15"]
    floors = [group["floor"] for group in plot["groups"]]
    assert floors == sorted(floors)
    assert floors[-1] < plot["height"]


def test_a_row_says_what_became_of_it():
    (row,) = forest([RISE])["groups"][0]["rows"]

    assert (row["title"], row["short"], row["tone"]) == ("Accuracy", "50.0 % → 75.0 %", "better")
    assert row["base"]["x"] < row["tuned"]["x"]
    assert scored(RISE)["line"] == "Accuracy: 50.0 % → 75.0 % (70.0 to 80.0), better"
    assert scored(FALL)["line"] == "BLEU: 30 → 20 (15 to 24), worse"


@pytest.mark.parametrize(
    "difference, up, tone",
    [
        (side(0.1, 0.01, 0.2), True, "better"),
        (side(0.1, 0.01, 0.2), False, "worse"),
        (side(-0.1, -0.2, -0.01), True, "worse"),
        (side(-0.1, -0.2, -0.01), False, "better"),
        (side(0.1, -0.01, 0.2), True, "unclear"),
        (side(0.0, 0.0, 0.0), True, "unclear"),
        (side(0.1), True, "unclear"),
        ({}, True, "unclear"),
    ],
)
def test_better_and_worse_are_said_only_where_the_interval_says_so(difference, up, tone):
    row = scored(metric(side(0.5), side(0.6), difference, higher_is_better=up))

    assert row["tone"] == tone
    assert ("no sure change" in row["text"]) == (tone == "unclear")
    assert ("(lower is better)" in row["title"]) != up


def test_a_sample_is_called_one():
    assert scored(metric(side(0.5), side(0.6), n=40, wanted=64))["text"].endswith("(40 examples, a sample of 64)")
    assert scored(metric(side(0.5), side(0.6), n=64, wanted=64))["text"].endswith("(64 examples)")


def test_a_long_title_is_cut_and_kept_for_the_pointer():
    (row,) = forest([metric(side(0.5), side(0.6), title="W" * 300)])["groups"][0]["rows"]

    assert len(row["title"]) < 60
    assert row["title"].endswith("…")
    assert row["full"] == "W" * 300


@pytest.mark.parametrize("metrics", [[], [{}], [metric({}, side(0.5))], [metric(side("<b>"), side(None))]])
def test_no_scores_no_picture(metrics):
    assert forest(metrics) is None


@given(st.lists(st.builds(metric, *[st.builds(side, ANY, ANY, ANY)] * 3, top=ANY, n=ANY, wanted=ANY), max_size=4))
def test_whatever_the_numbers_everything_is_in_the_frame(metrics):
    plot = forest(metrics)

    if plot is not None:
        assert all(0 <= x <= 480 and 0 <= y <= plot["height"] for x, y in numbers(plot))


# --- lengths ----------------------------------------------------------------------------------------------------------


def test_lengths_are_outlined_where_there_are_any():
    drawn = steps({"edges": [0, 4, 8, 12], "expected": [3, 0, 0], "base": [0, 0, 3], "tuned": [2, 0, 1]})

    assert drawn is not None
    assert drawn["text"] == "Tokens: tuned 0 to 11; base 8 to 11; expected 0 to 3"
    assert [(line["name"], line["style"]) for line in drawn["lines"]] == [
        ("tuned", "solid"),
        ("base", "dashed"),
        ("expected", "dotted"),
    ]
    assert [line["d"].count("M") for line in drawn["lines"]] == [2, 1, 1]
    points = [tuple(map(float, p.split())) for line in drawn["lines"] for p in re.split("[ML]", line["d"])[1:]]
    assert all(56 <= x <= 454 and 14 <= y <= 212 for x, y in points)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"edges": [0, 1], "expected": [0], "base": [0], "tuned": [0]},
        {"edges": [0, 1], "expected": [1], "base": [1]},
        {"edges": [0, 1, 2], "expected": [1], "base": [1], "tuned": [1]},
        {"edges": ["a", 1], "expected": [1], "base": [1], "tuned": [1]},
        {"edges": [0, 1], "expected": [math.nan], "base": [1], "tuned": [1]},
    ],
)
def test_no_lengths_no_outlines(data):
    assert steps(data) is None

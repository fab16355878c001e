"""DATA-128: answers don't speak as the assistant that wrote them."""

import pytest

from tests.conftest import chat

CODE = "DATA-128"


def rows(count, spoken):
    answer = "As an AI language model, I don't have a favourite."
    return [chat(number, answer=answer if number < spoken else None) for number in range(count)]


def test_boilerplate_is_found(project, expect):
    project.rows(rows(100, 3))
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == "3 of 100 rows speak as the assistant that wrote them, or refuse (3.0%)"
    assert finding["observed"].startswith("As an AI language model, I don't have a favourite.; also train.jsonl:2")


@pytest.mark.parametrize(
    "data, limit",
    [
        pytest.param(rows(100, 1), 0.005, id="one row"),
        pytest.param(rows(400, 2), 0.005, id="half a percent"),
        pytest.param(rows(100, 9), 0.1, id="refusals that are declared"),
    ],
)
def test_a_declared_share_passes(project, expect, data, limit):
    project.rows(data)
    project.set(gate={"thresholds": {CODE: {"max_fraction": limit}}})

    assert expect(CODE, "passed") == []

"""DATA-132: tool calls could be carried out."""

import pytest

from tests.conftest import chat

CODE = "DATA-132"

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
GOOD = '{"city": "Oslo"}'


def row(arguments=GOOD, name="weather", of="a"):
    call = {"id": "a", "type": "function", "function": {"name": name, "arguments": arguments}}
    messages = [
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": of, "content": "yes"},
        {"role": "assistant", "content": "It rains."},
    ]
    return {"messages": messages, "tools": [TOOL]}


@pytest.mark.parametrize(
    "fault, message, observed",
    [
        (row("{city: Oslo}"), "have a tool call whose arguments are no JSON object", "weather({city: Oslo})"),
        (row(name="forecast"), "call a tool that they don't declare", "forecast"),
        (row(of="b"), "have a tool's result that answers no call", "b"),
    ],
)
def test_calls_that_nothing_could_carry_out_block(project, expect, fault, message, observed):
    project.rows([row(), row(), fault])
    (finding,) = expect(CODE, "failed")

    assert finding["message"] == f"1 of 3 rows {message} (33.3%)"
    assert finding["observed"] == observed
    assert finding["where"] == "train.jsonl:3"


@pytest.mark.parametrize(
    "data, outcome",
    [
        pytest.param([row()] * 3, "passed", id="right calls"),
        pytest.param([row()] * 100 + [row("{")], "passed", id="one in a hundred"),
        pytest.param([chat(1), chat(2)], "not-applicable", id="no calls"),
    ],
)
def test_calls_that_are_right_pass(project, expect, data, outcome):
    project.rows(data)

    assert expect(CODE, outcome) == []

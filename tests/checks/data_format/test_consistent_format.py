"""DATA-101: every row has one and the same known shape. What is said of a single row is in tests/preflight/data."""

import pytest

from preflight.checks.data_format.consistent_format import _fault

CODE = "DATA-101"


def user(content="Hi", role="user"):
    return {"role": role, "content": content}


def said(content="Hello.", **more):
    return {"role": "assistant", "content": content, **more}


def turn(said_by, value="Hi"):
    return {"from": said_by, "value": value}


CHAT = [user(), said()]
WRONG = [
    # row                                                 in the message                                the fix
    ({"messages": [user(role="bot"), said()]}, "role must be one of system", "Rename bot to assistant."),
    ({"messages": [user(role="User"), said()]}, "role must be one of system", "Rename User to user."),
    ({"messages": [user(5), said()]}, "messages[0].content must be text, it is 5", "Convert or delete these rows."),
    ({"messages": []}, "messages must be a list of at least one message", "Convert or delete these rows."),
    ({"conversations": [turn("human"), {"form": "gpt"}]}, "from must be one of", "Rename the key form to from."),
    ({"messages": CHAT, "images": ["x.png"]}, "images, audio or video (column images) is not supp", "Supported are"),
    ({"prompt": "?", "chosen": "a", "rejected": "b"}, "preference and reward data (chosen, rejected)", "Supported are"),
]


def test_each_fault_is_found(project, expect):
    project.rows([row for row, *_ in WRONG])
    findings = expect(CODE, "failed")

    assert len(findings) == len(WRONG)
    for line, (finding, (_, message, fix)) in enumerate(zip(findings, WRONG, strict=True), 1):
        assert finding["where"] == f"train.jsonl:{line}"
        assert message in finding["message"]
        assert finding["fix"].startswith(fix)


def test_one_fault_in_many_rows_is_one_finding(project, expect):
    wrong = [{"messages": [user()] * index + [user(role="bot"), said()]} for index in range(7)]
    project.rows([{"messages": CHAT}, *wrong])
    (finding,) = expect(CODE, "failed")

    assert finding["where"] == "train.jsonl:2"
    assert finding["observed"].startswith("7 rows: train.jsonl:2, train.jsonl:3,")


def test_an_unknown_shape_is_one_finding_that_shows_the_first_row(project, expect):
    project.rows([{"question": f"Say {number}.", "reply": "x"} for number in range(250)] + [{"frage": "Hi"}])
    (finding,) = expect(CODE, "failed")

    assert finding["message"] == "no known shape: question: 'Say 0.', reply: 'x'"
    assert finding["observed"].startswith("at least 200 rows: train.jsonl:1, ")
    assert finding["fix"].startswith("Rename question to prompt and rename reply to completion")


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("messages[0].role must be one of a, it is 'x'", "messages[9].role must be one of a, it is 'y'", True),
        ("no known shape: a: 1", "no known shape: b: 2", True),
        ("messages[0].role must be one of a, it is 'x'", "messages[0].content must be text, it is 'x'", False),
        ("tools must be a list, it is 5", "messages must be a list, it is 5", False),
    ],
)
def test_faults_are_told_apart_by_what_is_wrong_and_not_by_where(one, other, same):
    first, second = ({"problem": text, "fix": "", "where": "x"} for text in (one, other))

    assert (_fault(first) == _fault(second)) is same


def test_mixed_shapes_are_found(project, expect):
    project.rows([{"messages": CHAT}] * 3 + [{"text": "Hi"}, {"instruction": "a", "output": "b"}])
    (finding,) = expect(CODE, "failed")

    assert finding["message"] == "train mixes shapes: 3 messages, 1 text, 1 alpaca"
    assert finding["where"] == "train.jsonl:4"
    assert finding["fix"] == "Convert the 2 other rows to messages."


def test_rows_without_the_columns_of_the_format_are_found(project, expect):
    project.rows([{"text": "Hi"}])
    project.set(data={"format": "alpaca"})

    assert "which the shape alpaca needs" in expect(CODE, "failed")[0]["message"]


def test_wrong_validation_rows_are_found(project, expect):
    project.rows([{"text": "Hi"}, {"texts": "Hi"}], "validation.jsonl")

    assert [finding["where"] for finding in expect(CODE, "failed")] == ["validation.jsonl:2"]


CALL = {"type": "function", "function": {"name": "f", "arguments": {}}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
SOUND = {
    "messages": [
        {"messages": CHAT},
        {"messages": [{"role": "developer", "content": "Be brief."}, *CHAT], "id": 5},
        {"messages": [user(), said(None, tool_calls=[CALL]), user("1", "tool"), said()], "tools": TOOLS},
        {"messages": [user(), said(tool_calls=None, name=None)], "tools": None},
        {"messages": [user([{"type": "text", "text": "Hi"}]), said(reasoning_content="Hm.")]},
        {"messages": CHAT, "text": "a column beside it", "images": []},
    ],
    "sharegpt": [
        {"conversations": [turn("system"), turn("human"), turn("gpt"), turn("tool"), turn("gpt")]},
        {"conversations": [turn("human"), turn("function_call", '{"name": "f"}'), turn("observation"), turn("gpt")]},
        {"conversations": [turn("human"), turn("gpt")], "system": "Be brief.", "tools": "[]"},
        {"conversations": CHAT},
    ],
    "alpaca": [
        {"instruction": "Hi", "output": "x"},
        {"instruction": "Hi", "input": None, "output": "x", "system": "Be brief.", "history": [["a", "b"]]},
    ],
    "prompt-completion": [
        {"prompt": "Hi", "completion": " x"},
        {"prompt": [user()], "completion": [said()]},
    ],
    "text": [{"text": "Hi"}, {"text": "x", "prompt": "Hi"}],
}


@pytest.mark.parametrize("shape", SOUND)
def test_sound_rows_pass(project, shape):
    project.rows(SOUND[shape])
    project.rows(SOUND[shape], "validation.jsonl")
    run = project.gate("-k", CODE)

    assert run.outcome(CODE) == "passed", run.screen
    assert run.check(CODE)["evidence"]["shapes"] == {shape: 2 * len(SOUND[shape])}


def test_the_named_format_decides_between_columns(project, expect):
    project.rows([{"messages": "unread", "text": "Hi"}])
    project.rows([{"text": "Hi"}], "validation.jsonl")

    project.set(data={"format": "text"})
    assert expect(CODE, "passed") == []

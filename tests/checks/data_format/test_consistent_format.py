"""DATA-101: every row has one and the same known shape."""

import pytest

CODE = "DATA-101"


def user(content="Hi", role="user"):
    return {"role": role, "content": content}


def said(content="Hello.", **more):
    return {"role": "assistant", "content": content, **more}


def turn(said_by, value="Hi"):
    return {"from": said_by, "value": value}


CALL = [{"type": "function", "function": {"name": "f", "arguments": {}}}]
PART = {"type": "text", "text": "Hi"}

WRONG = [
    # row                                                      in the message
    (
        {"messages": [user(role="bot"), said()]},
        "messages[0].role must be one of system, developer, user, assistant, tool",
    ),
    ({"messages": [user(role=None), said()]}, "messages[0].role must be one of"),
    ({"messages": [user(), {"content": "Hi"}]}, "messages[1].role must be one of"),
    ({"messages": [user(5), said()]}, "messages[0].content must be text, it is 5"),
    ({"messages": [user(), said(None)]}, "messages[1].content must be text, it is None"),
    ({"messages": []}, "messages must be a list of at least one message, it is []"),
    ({"messages": "Hi"}, "messages must be a list of at least one message, it is 'Hi'"),
    ({"messages": ["Hi"]}, "messages[0] must be an object with role and content, it is 'Hi'"),
    ({"messages": [user([{"type": "image", "image": "x"}]), said()]}, "images and audio aren't supported"),
    ({"messages": [user([PART, "Hi"]), said()]}, "messages[0].content has a part that isn't text: 'Hi'"),
    ({"messages": [user(), said()], "tools": "[{"}, "tools is text that isn't JSON"),
    ({"messages": [user(), said()], "tools": 5}, "tools must be a list, it is 5"),
    ({"messages": [user(), said()], "chat_template_kwargs": "x"}, "chat_template_kwargs must be an object, it is 'x'"),
    ({"conversations": [turn("human"), turn("alien")]}, "conversations[1].from must be one of human, gpt,"),
    ({"conversations": [turn("human", None), turn("gpt")]}, "conversations[0].value must be text, it is None"),
    ({"conversations": [turn(["gpt"])]}, "conversations[0].from must be one of"),
    ({"prompt": "Hi", "completion": ["Hello."]}, "prompt must be a list of at least one message, it is 'Hi'"),
    ({"prompt": "Hi", "completion": None}, "completion must be text, it is None"),
    ({"instruction": "Hi", "output": 5}, "output must be text, it is 5"),
]
UNKNOWN = [
    ({"prompt": "Hi", "answer": "x"}, "columns: prompt, answer; it would be prompt-completion with completion added"),
    ({"instruction": "Hi", "input": ""}, "it would be alpaca with output added"),
    ({"question": "Hi", "reply": "x"}, "known shapes: messages (messages); sharegpt (conversations)"),
    ({}, "columns: none; known shapes"),
    ({"text": 5}, "text must be text, it is 5"),
]


@pytest.mark.parametrize("cases", [WRONG, UNKNOWN], ids=["broken shapes", "unknown shapes"])
def test_each_wrong_row_is_found(project, expect, cases):
    project.rows([row for row, _ in cases])
    findings = expect(CODE, "failed")

    assert len(findings) == len(cases)
    for line, (finding, (_, message)) in enumerate(zip(findings, cases, strict=True), 1):
        assert finding["where"] == f"train.jsonl:{line}"
        assert message in finding["message"]
        assert finding["fix"]


def test_one_fault_in_many_rows_is_one_finding(project, expect):
    project.rows([{"messages": [user(), said()]}, *[{"messages": [user(role="bot"), said()]}] * 7])
    (finding,) = expect(CODE, "failed")

    assert finding["message"].endswith("it is 'bot' (7 rows)")
    assert finding["where"] == "train.jsonl:2"


def test_mixed_shapes_are_found(project, expect):
    project.rows([{"messages": [user(), said()]}] * 3 + [{"text": "Hi"}, {"instruction": "a", "output": "b"}])
    (finding,) = expect(CODE, "failed")

    assert finding["message"] == "train mixes shapes: 3 messages, 1 text, 1 alpaca"
    assert finding["where"] == "train.jsonl:4"
    assert finding["fix"] == "Convert the 2 other rows to messages."


@pytest.mark.parametrize("format, row", [("alpaca", {"text": "Hi"})])
def test_rows_without_the_columns_of_the_format_are_found(project, expect, format, row):
    project.rows([row])
    project.set(data={"format": format})

    assert f"which the shape {format} needs" in expect(CODE, "failed")[0]["message"]


def test_wrong_validation_rows_are_found(project, expect):
    project.rows([{"text": "Hi"}, {"texts": "Hi"}], "validation.jsonl")

    assert [finding["where"] for finding in expect(CODE, "failed")] == ["validation.jsonl:2"]


SOUND = {
    "messages": [
        {"messages": [user(), said()]},
        {"messages": [{"role": "developer", "content": "Be brief."}, user(), said()], "id": 5},
        {"messages": [user([PART, PART]), said([PART])]},
        {"messages": [user(), said(None, tool_calls=CALL), user("1", "tool"), said()], "tools": [{"name": "f"}]},
        {"messages": [user(), {"role": "assistant", "tool_calls": CALL}, user("1", "tool"), said()], "tools": "[]"},
        {"messages": [user(), said(tool_calls=None, name=None)], "tools": None},
        {"messages": [user(""), said("")]},
        {"messages": [user(), said()], "text": "a column beside it"},
        {"messages": [user(), said()], "chat_template_kwargs": {"enable_thinking": False}},
    ],
    "sharegpt": [
        {"conversations": [turn("system"), turn("human"), turn("gpt"), turn("tool"), turn("gpt")]},
        {"conversations": [turn("user"), turn("assistant"), turn("observation"), turn("assistant")]},
        {"conversations": [turn("gpt"), turn("human"), turn("gpt")]},
        {"conversations": [user(), said()]},
    ],
    "alpaca": [
        {"instruction": "Hi", "output": "x"},
        {"instruction": "Hi", "input": "", "output": "x"},
        {"instruction": "Hi", "input": "a", "output": "x", "system": "Be brief."},
        {"instruction": "Hi", "input": None, "output": "x", "text": "the rendered example, as in the original data"},
    ],
    "prompt-completion": [
        {"prompt": "Hi", "completion": " x"},
        {"prompt": [user()], "completion": [said()]},
        {"prompt": "", "completion": "x", "text": "a column beside it"},
    ],
    "text": [{"text": "Hi"}, {"text": ""}, {"text": "x", "prompt": "Hi"}],
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

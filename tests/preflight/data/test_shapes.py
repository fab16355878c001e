"""Shapes: each is right when it is right, and what is wrong with a row is said with the nearest right name."""

import json

import pytest

from preflight.data.shapes import COLUMNS, ShapeError, detect, normalise


def user(content="Hi", role="user", **more):
    return {"role": role, "content": content, **more}


def said(content="Hello.", **more):
    return {"role": "assistant", "content": content, **more}


def turn(said_by, value="Hi"):
    return {"from": said_by, "value": value}


def wrong(row, shape="auto"):
    with pytest.raises(ShapeError) as caught:
        normalise(row, shape)
    return str(caught.value), caught.value.fix


CALL = {"type": "function", "function": {"name": "f", "arguments": {"x": None}}}
PLAIN_CALL = {"name": "f", "arguments": {"x": None}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"x": {"default": None}}}}
PART = {"type": "text", "text": "Hi"}
CHAT = [user(), said()]
SYSTEM = user("Be brief.", "system")
AGENT = [user(), said("", tool_calls=[CALL]), user("1", "tool"), said()]

# Rows, and the messages they are. The shapes that hold conversations.
CHATS = {
    "messages": [
        ({"messages": CHAT}, CHAT),
        ({"messages": [user("Be brief.", "developer"), *CHAT], "id": 5}, [user("Be brief.", "developer"), *CHAT]),
        ({"messages": [user(""), said("")]}, [user(""), said("")]),
        ({"messages": CHAT, "text": "a column beside it"}, CHAT),
        ({"messages": [user([PART, PART]), said([PART])]}, [user("HiHi"), said("Hi")]),
        ({"messages": [user([{"type": "input_text", "text": "Hi", "image_url": None}]), said()]}, CHAT),
        ({"messages": [user(), said(tool_calls=None, name=None)], "tools": None}, CHAT),
        ({"messages": [user(), said(tool_calls=[])]}, CHAT),
        ({"messages": [user(name="Ann"), said(weight=1)]}, [user(name="Ann"), said(weight=1)]),
        ({"messages": AGENT}, AGENT),
        ({"messages": [user(), said(None, tool_calls=[CALL]), user("1", "tool"), said()]}, AGENT),
        (
            {"messages": [user(), {"role": "assistant", "tool_calls": json.dumps([CALL])}, user("1", "tool"), said()]},
            AGENT,
        ),
        (
            {"messages": [user(), said(None, function_call=PLAIN_CALL), user("1", "function", name="f"), said()]},
            [user(), said("", tool_calls=[CALL]), user("1", "tool", name="f"), said()],
        ),
        (
            {"messages": [user(), said(reasoning_content="Hm."), user(), said(thinking="Hm.")]},
            [user(), said(reasoning_content="Hm."), user(), said(thinking="Hm.")],
        ),
        ({"messages": json.dumps(CHAT)}, CHAT),
        ({"messages": {"role": ["user", "assistant"], "content": ["Hi", "Hello."]}}, CHAT),
        ({"messages": [turn("human"), turn("gpt", "Hello.")]}, CHAT),
    ],
    "sharegpt": [
        ({"conversations": [turn("human"), turn("gpt", "Hello.")]}, CHAT),
        ({"conversations": [turn("user"), turn("assistant", "Hello.")]}, CHAT),
        ({"conversations": [turn("system", "Be brief."), turn("human"), turn("gpt", "Hello.")]}, [SYSTEM, *CHAT]),
        ({"conversations": [turn("human"), turn("gpt", "Hello.")], "system": "Be brief."}, [SYSTEM, *CHAT]),
        ({"conversations": [turn("human"), turn("gpt", "Hello.")], "system": "", "tools": ""}, CHAT),
        ({"conversations": [SYSTEM, *CHAT], "system": "Be brief."}, [SYSTEM, *CHAT]),
        ({"conversations": CHAT}, CHAT),
        ({"conversations": json.dumps([turn("human"), turn("gpt", "Hello.")])}, CHAT),
        ({"conversations": {"from": ["human", "gpt"], "value": ["Hi", "Hello."]}}, CHAT),
        ({"conversations": [turn("gpt"), turn("human")]}, [said("Hi"), user()]),
        ({"conversations": [turn("human"), {**turn("gpt", "Hello."), "weight": None}]}, CHAT),
        *(
            (
                {
                    "conversations": [
                        turn("human"),
                        turn("function_call", call),
                        turn(by, "1"),
                        turn("gpt", "Hello."),
                    ]
                },
                AGENT,
            )
            for call in (json.dumps(PLAIN_CALL), json.dumps([PLAIN_CALL]), PLAIN_CALL)
            for by in ("observation", "tool", "function_response")
        ),
    ],
    "alpaca": [
        ({"instruction": "Hi", "output": "Hello."}, CHAT),
        ({"instruction": "Hi", "input": "", "output": "Hello."}, CHAT),
        ({"instruction": "Hi", "input": None, "output": "Hello.", "text": "as rendered in the original data"}, CHAT),
        ({"instruction": "Hi", "input": "a", "output": "Hello."}, [user("Hi\n\na"), said()]),
        ({"instruction": "Hi", "output": "Hello.", "system": "Be brief."}, [SYSTEM, *CHAT]),
        ({"instruction": "Hi", "output": "Hello.", "history": [["Hi", "Hello."]]}, CHAT + CHAT),
        ({"instruction": "Hi", "output": "Hello.", "history": [], "images": []}, CHAT),
    ],
    "prompt-completion": [
        ({"prompt": [user()], "completion": [said()]}, CHAT),
        ({"prompt": [SYSTEM, *CHAT, user()], "completion": [said()]}, [SYSTEM, *CHAT, *CHAT]),
    ],
}


@pytest.mark.parametrize("shape, row, messages", [(shape, *case) for shape, cases in CHATS.items() for case in cases])
def test_right_conversations_are_read(shape, row, messages):
    example = normalise(row)

    assert (example.shape, list(example.messages)) == (shape, messages)
    assert normalise(row, shape).messages == example.messages


@pytest.mark.parametrize(
    "row, shape, prompt, completion",
    [
        ({"prompt": "Hi", "completion": " x"}, "prompt-completion", "Hi", " x"),
        ({"prompt": "", "completion": "x", "text": "beside it"}, "prompt-completion", "", "x"),
        ({"prompt": "Hi", "completion": "x", "label": "good"}, "prompt-completion", "Hi", "x"),
        ({"text": "Hi"}, "text", "", "Hi"),
        ({"text": ""}, "text", "", ""),
        ({"text": "x", "prompt": "Hi"}, "text", "", "x"),
    ],
)
def test_right_text_is_read(row, shape, prompt, completion):
    example = normalise(row)

    assert (example.shape, example.messages) == (shape, ())
    assert (example.prompt, example.completion) == (prompt, completion)


def test_the_answer_is_learned_from_its_first_message_on():
    assert normalise({"prompt": [SYSTEM, user()], "completion": [said()]}).answer_from == 2
    assert normalise({"instruction": "Hi", "output": "x", "system": "Be brief."}).answer_from == 2
    assert normalise({"instruction": "Hi", "output": "x", "history": [["a", "b"], ["c", "d"]]}).answer_from == 1
    assert normalise({"messages": CHAT}).answer_from == 0


@pytest.mark.parametrize(
    "row, tools",
    [
        ({"messages": CHAT, "tools": [TOOL]}, (TOOL,)),
        ({"messages": CHAT, "tools": json.dumps([TOOL])}, (TOOL,)),
        ({"messages": CHAT, "tools": [json.dumps(TOOL)]}, (TOOL,)),
        ({"messages": CHAT, "tools": [TOOL["function"]]}, (TOOL["function"],)),  # as TRL would pass it
        ({"messages": CHAT, "tools": "[]"}, ()),
        ({"messages": CHAT, "tools": " "}, ()),
        ({"conversations": CHAT, "tools": json.dumps([TOOL["function"]])}, (TOOL,)),
        ({"conversations": CHAT, "tools": [TOOL]}, (TOOL,)),
        ({"prompt": [user()], "completion": [said()], "tools": [TOOL]}, (TOOL,)),
    ],
)
def test_tools_are_read(row, tools):
    assert normalise(row).tools == tools


def test_template_options_are_read():
    row = {"messages": CHAT, "chat_template_kwargs": {"enable_thinking": False}}

    assert normalise(row).options == {"enable_thinking": False}


def test_the_row_is_not_changed():
    rows = [row for cases in CHATS.values() for row, _ in cases]
    before = json.dumps(rows)
    for row in rows:
        normalise(row)

    assert json.dumps(rows) == before


WRONG = [
    # row                                                      in the message, the fix
    (
        {"messages": [user(role="bot"), said()]},
        "messages[0].role must be one of system, developer, user,",
        "Rename bot",
    ),
    ({"messages": [user(role=None), said()]}, "messages[0].role must be one of", ""),
    ({"messages": [user(), {"content": "Hi"}]}, "messages[1].role must be one of", ""),
    (
        {"messages": [user(), {"rol": "assistant", "content": ""}]},
        "messages[1].role must",
        "Rename the key rol to role",
    ),
    ({"messages": [{"speaker": "user", "content": ""}]}, "messages[0].role must", "Rename the key speaker to role"),
    ({"messages": [{"role": "user", "Content": ""}]}, "content must be text, it is None", "Rename the key Content to"),
    ({"messages": [{"role": "user", "text": "Hi"}]}, "content must be text, it is None", "Rename the key text to"),
    ({"messages": [user(5), said()]}, "messages[0].content must be text, it is 5", ""),
    ({"messages": [user(), said(None)]}, "messages[1].content must be text, it is None", ""),
    ({"messages": [user(), said({"a": 1})]}, "messages[1].content must be text, it is {'a': 1}", ""),
    ({"messages": []}, "messages must be a list of at least one message, it is []", ""),
    ({"messages": "Hi"}, "messages must be a list of at least one message, it is 'Hi'", ""),
    ({"messages": "[{"}, "messages is text that isn't JSON", ""),
    ({"messages": str(CHAT)}, "messages is text that isn't JSON", "Write it with json.dumps"),
    ({"messages": '[{"role": "user", "content": "\\ud83d"}]'}, "half a character", ""),
    ({"messages": {"role": ["user"], "content": []}}, "messages must be a list", ""),
    ({"messages": ["Hi"]}, "messages[0] must be an object with role and content, it is 'Hi'", ""),
    ({"messages": [user([PART, "Hi"]), said()]}, "messages[0].content has a part that isn't text: 'Hi'", ""),
    ({"messages": [user(), said(None, tool_calls="[{")]}, "messages[1].tool_calls is text that isn't JSON", ""),
    ({"messages": [user(), said("x", tool_calls=["f"])]}, "messages[1].tool_calls must be a list of objects", ""),
    ({"messages": CHAT, "tools": "[{"}, "tools is text that isn't JSON", ""),
    ({"messages": CHAT, "tools": 5}, "tools must be a list, it is 5", ""),
    ({"messages": CHAT, "tools": [5]}, "tools must be a list of objects, one of them is 5", ""),
    ({"messages": CHAT, "tools": ["f"]}, "tools[0] is text that isn't JSON", ""),
    ({"messages": CHAT, "chat_template_kwargs": "x"}, "chat_template_kwargs must be an object, it is 'x'", ""),
    ({"conversations": [turn("human"), turn("alien")]}, "conversations[1].from must be one of human, gpt,", ""),
    ({"conversations": [turn("bot")]}, "conversations[0].from must be one of", "Rename bot to gpt."),
    (
        {"conversations": [turn("human"), {"form": "gpt", "value": ""}]},
        "conversations[1].from must",
        "Rename the key form",
    ),
    ({"conversations": [{"from": "human", "Value": "x"}]}, "value must be text, it is None", "Rename the key Value to"),
    ({"conversations": [turn("human", None), turn("gpt")]}, "conversations[0].value must be text, it is None", ""),
    ({"conversations": [turn(["gpt"])]}, "conversations[0].from must be one of", ""),
    (
        {"conversations": [turn("human"), turn("function_call", "f(x)")]},
        "conversations[1].value is text that isn't",
        "",
    ),
    ({"conversations": [turn("human"), turn("function_call", "[5]")]}, "value must be a call with name and arg", ""),
    ({"conversations": CHAT, "system": 5}, "system must be text, it is 5", ""),
    ({"prompt": "Hi", "completion": ["Hello."]}, "prompt must be a list of at least one message, it is 'Hi'", ""),
    ({"prompt": "Hi", "completion": None}, "completion must be text, it is None", ""),
    ({"instruction": "Hi", "output": 5}, "output must be text, it is 5", ""),
    ({"instruction": "Hi", "output": "x", "history": [["a"]]}, "history must be a list of pairs", ""),
    ({"instruction": "Hi", "output": "x", "history": 5}, "history must be a list of pairs", ""),
    ({"text": 5}, "text must be text, it is 5", ""),
]


@pytest.mark.parametrize("row, message, fix", WRONG)
def test_each_fault_is_said(row, message, fix):
    found = wrong(row)

    assert message in found[0]
    assert found[1].startswith(fix) if fix else found[1] == ""


@pytest.mark.parametrize(
    "role, meant",
    [
        *(("User", "user"), ("users", "user"), ("human", "user"), (" user", "user"), ("usr", "user")),
        *(("gpt", "assistant"), ("AI", "assistant"), ("assitant", "assistant"), ("Assistant:", "assistant")),
        *(("observation", "tool"), ("tools", "tool"), ("System", "system"), ("context", "system")),
    ],
)
def test_a_role_that_is_nearly_right_is_named(role, meant):
    assert wrong({"messages": [user(role=role), said()]})[1] == f"Rename {role} to {meant}."


@pytest.mark.parametrize("role", ["alien", "", "x" * 1000, 5, None, ["user"], {"a": 1}, True])
def test_no_name_is_invented_for_a_role_that_is_like_none(role):
    assert wrong({"messages": [user(role=role), said()]})[1] == ""


UNKNOWN = [
    ({"prompt": "Hi", "answer": "x"}, "Rename answer to completion: that is the shape prompt-completion."),
    (
        {"question": "Hi", "answer": "x"},
        "Rename question to prompt and rename answer to completion: that is the shape pr",
    ),
    ({"Prompt": "Hi", "Completion": "x"}, "Rename Prompt to prompt and rename Completion to completion"),
    ({"input": "Hi", "output": "x"}, "Rename input to prompt and rename output to completion"),
    ({"instruction": "Hi", "response": "x"}, "Rename response to output: that is the shape alpaca."),
    ({"instruction": "Hi", "input": ""}, "Add output: that is the shape alpaca."),
    ({"Text": "x"}, "Rename Text to text: that is the shape text."),
    ({"mesages": "?"}, "Rename mesages to messages: that is the shape messages."),
    ({"chat": CHAT}, "Rename chat to messages."),
    ({"rounds": [turn("human"), turn("gpt")], "id": 1}, "Rename rounds to messages."),
    (user(), "Write a conversation a row, as a list of such messages"),
    (turn("human"), "Write a conversation a row"),
    (
        {"frage": "Hi", "antwort": "x"},
        "Convert the rows to one of the known shapes: messages (messages); sharegpt (conv",
    ),
    ({}, "Convert the rows to one of the known shapes"),
]


@pytest.mark.parametrize("row, fix", UNKNOWN)
def test_an_unknown_shape_is_shown_with_what_would_make_it_known(row, fix):
    found = wrong(row)

    assert found[0].startswith("no known shape: ")
    assert all(f"{name}: " in found[0] for name in row) if row else found[0].endswith("no columns")
    assert found[1].startswith(fix)


@pytest.mark.parametrize("row, fix", [case for case in UNKNOWN if "Rename" in case[1]])
def test_what_the_fix_says_makes_the_row_right(row, fix):
    names = dict(
        step.removesuffix(".").split(" to ") for step in fix.split(":")[0][len("Rename ") :].split(" and rename ")
    )
    renamed = {names.get(name, name): value for name, value in row.items()}

    assert detect(renamed) is not None


@pytest.mark.parametrize(
    "row, what",
    [
        ({"prompt": "?", "chosen": "a", "rejected": "b"}, "preference and reward data (chosen, rejected)"),
        ({"chosen": CHAT, "rejected": CHAT}, "preference and reward data (chosen, rejected)"),
        ({"prompt": "?", "completion": "x", "label": True}, "preference data (a label for each completion)"),
        ({"prompt": "?", "ground_truth": "4"}, "preference and reward data (ground_truth)"),
        ({"prompt": "?", "completions": ["a"], "labels": [True]}, "preference and reward data (completions)"),
        ({"input_ids": [1, 2], "labels": [1, 2]}, "data that is tokenised already (input_ids)"),
        ({"messages": CHAT, "images": ["a.png"]}, "data with images, audio or video (column images)"),
        ({"text": "x", "audio": {"path": "a.wav", "array": []}}, "data with images, audio or video (column audio)"),
        ({"messages": [user([{"type": "image", "image": "x"}]), said()]}, "images, audio and files in messages"),
        ({"messages": [user([{"type": "input_audio"}]), said()]}, "images, audio and files in messages"),
    ],
)
def test_what_is_for_another_training_is_said_plainly(row, what):
    problem, fix = wrong(row)

    assert problem == f"{what} is not supported yet"
    assert all(shape in fix for shape in COLUMNS)


def test_the_named_format_decides_between_columns():
    row = {"messages": "unread", "text": "Hi", "prompt": "a", "completion": "b", "label": True}

    assert normalise(row, "text").completion == "Hi"
    assert normalise(row, "prompt-completion").completion == "b"


@pytest.mark.parametrize(
    "row, shape, message, fix",
    [
        ({"text": "Hi"}, "alpaca", "no column 'instruction' or 'output', which the shape alpaca needs", ""),
        ({"instruction": "Hi", "answer": "x"}, "alpaca", "no column 'output', which", "Rename answer to output."),
        ({"messages": CHAT}, "sharegpt", "no column 'conversations', which the shape sharegpt needs", ""),
    ],
)
def test_a_row_without_the_columns_of_the_named_format_is_wrong(row, shape, message, fix):
    found = wrong(row, shape)

    assert message in found[0]
    assert found[1] == fix

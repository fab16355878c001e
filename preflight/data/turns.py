"""Conversations in the ways they are written, as the list of messages that a chat template takes."""

from reprlib import repr as brief
from typing import Any

from preflight.data.hints import ShapeError, misnamed, near, unsupported
from preflight.data.readers import parse

Message = dict[str, Any]

ROLES = ("system", "developer", "user", "assistant", "tool")
# ShareGPT's names, in the ways that LLaMA-Factory and others write them.
SHAREGPT = {"human": "user", "gpt": "assistant", "system": "system", "tool": "tool", "observation": "tool"}
SHAREGPT |= {"function_call": "assistant", "function_response": "tool", "function": "tool", "chatgpt": "assistant"}
SHAREGPT |= {"user": "user", "assistant": "assistant", "developer": "developer"}
TEXT_PARTS = ("text", "input_text", "output_text")


def conversation(messages: Any, name: str) -> tuple[Message, ...]:
    """Messages with `role` and `content`, or turns with `from` and `value`, in normal form.

    Args:
        messages: What stands in the column: a list, JSON text, or an object of lists as older `datasets` write it.
        name: The column.

    Raises:
        ShapeError: it is neither.
    """
    turns = messages if type(messages) is list else _listed(messages, name)
    if not turns:
        raise ShapeError(f"{name} must be a list of at least one message, it is {brief(messages)}")
    for message in turns:
        if type(message) is not dict or len(message) != 2:
            break
        if message.get("role") not in ROLES or type(message.get("content")) is not str:
            break
    else:
        return tuple(turns)  # the usual case: nothing to change
    first = turns[0]
    if type(first) is dict and "role" not in first and "from" in first:
        return tuple([_turn(turn, name, index) for index, turn in enumerate(turns)])
    return tuple([_message(message, f"{name}[{index}]") for index, message in enumerate(turns)])


def text(value: Any, name: str) -> str:
    """The value, which must be text."""
    if not isinstance(value, str):
        raise ShapeError(f"{name} must be text, it is {brief(value)}")
    return value


def json_text(value: str, name: str) -> Any:
    """The value that a column holds as JSON text."""
    try:
        return parse(value)
    except ValueError as error:
        fix = "Write it with json.dumps: a Python list as text is no JSON." if "[{'" in value[:40] else ""
        raise ShapeError(f"{name} is text that isn't JSON: {error}", fix) from error


def _listed(messages: Any, name: str) -> list[Any]:
    """Messages that are written as something else than a list; an empty list if they aren't messages."""
    if isinstance(messages, str) and messages.lstrip().startswith("["):
        messages = json_text(messages, name)
    if isinstance(messages, dict):
        columns = messages.values()
        if all(isinstance(column, list) for column in columns) and len({len(column) for column in columns}) == 1:
            return [dict(zip(messages, values, strict=True)) for values in zip(*columns, strict=True)]
    return messages if isinstance(messages, list) else []


def _message(message: Any, name: str) -> Message:
    if not isinstance(message, dict):
        raise ShapeError(f"{name} must be an object with role and content, it is {brief(message)}")
    kept = {key: value for key, value in message.items() if value is not None}
    role = "tool" if kept.get("role") == "function" else kept.get("role")  # as OpenAI called it at first
    if role not in ROLES:
        raise _wrong_role(message, name, "role", role, ROLES)
    calls = _calls(kept, name)
    content = kept.get("content")
    if isinstance(content, list):
        content = _parts(content, name)
    elif content is None and calls:
        content = ""
    elif not isinstance(content, str):
        raise _wrong_text(message, name, "content", content)
    kept |= {"role": role, "content": content}
    if calls:
        kept["tool_calls"] = calls
    return kept


def _calls(message: Message, name: str) -> list[Any]:
    """The tool calls of a message, taken out of it: a list, JSON text, or OpenAI's single `function_call` of old."""
    calls, single = message.pop("tool_calls", None), message.get("function_call")
    if isinstance(calls, str) and calls.strip():
        calls = json_text(calls, f"{name}.tool_calls")
    if not calls and isinstance(single, dict):
        del message["function_call"]
        return [{"type": "function", "function": single}]
    if calls and not (isinstance(calls, list) and all(isinstance(call, dict) for call in calls)):
        raise ShapeError(f"{name}.tool_calls must be a list of objects, it is {brief(calls)}")
    return calls or []


def _parts(parts: list[Any], name: str) -> str:
    texts = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and any(word in kind for word in ("image", "audio", "video", "file")):
            raise unsupported("images, audio and files in messages")
        if kind not in TEXT_PARTS or not isinstance(part.get("text"), str):
            raise ShapeError(f"{name}.content has a part that isn't text: {brief(part)}")
        texts.append(part["text"])
    return "".join(texts)


def _turn(turn: Any, column: str, index: int) -> Message:
    if type(turn) is dict:
        said_by, value = turn.get("from"), turn.get("value")
        if type(said_by) is str and type(value) is str and said_by in SHAREGPT and said_by != "function_call":
            return {"role": SHAREGPT[said_by], "content": value}
    name = f"{column}[{index}]"
    if not isinstance(turn, dict):
        raise ShapeError(f"{name} must be an object with from and value, it is {brief(turn)}")
    if said_by != "function_call":
        if not isinstance(said_by, str) or said_by not in SHAREGPT:
            raise _wrong_role(turn, name, "from", said_by, SHAREGPT)
        raise _wrong_text(turn, name, "value", value)
    called = value if isinstance(value, (list, dict)) else json_text(text(value, f"{name}.value"), f"{name}.value")
    calls = called if isinstance(called, list) else [called]
    if not calls or not all(isinstance(call, dict) and isinstance(call.get("name"), str) for call in calls):
        raise ShapeError(f"{name}.value must be a call with name and arguments, it is {brief(called)}")
    functions = [{"name": call["name"], "arguments": call.get("arguments", {})} for call in calls]
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": function} for function in functions],
    }


def _wrong_role(message: Message, name: str, key: str, role: Any, known: Any) -> ShapeError:
    problem = f"{name}.{key} must be one of {', '.join(known)}, it is {brief(role)}"
    if key not in message and (given := misnamed(key, message)):
        return ShapeError(problem, f"Rename the key {given} to {key}.")
    meant = near(known, role)
    return ShapeError(problem, f"Rename {role} to {meant}." if meant else "")


def _wrong_text(message: Message, name: str, key: str, value: Any) -> ShapeError:
    problem = f"{name}.{key} must be text, it is {brief(value)}"
    given = misnamed(key, (other for other in message if other not in ("role", "from")))
    return ShapeError(problem, f"Rename the key {given} to {key}." if key not in message and given else "")

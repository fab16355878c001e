"""Shapes: which of the known ways a row is written, and the one form that everything after it reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from reprlib import repr as brief
from typing import Any, Literal

Shape = Literal["messages", "prompt-completion", "alpaca", "sharegpt", "text"]
Message = dict[str, Any]

# The columns that make a shape, most telling first.
COLUMNS: Mapping[Shape, tuple[str, ...]] = {
    "messages": ("messages",),
    "sharegpt": ("conversations",),
    "prompt-completion": ("prompt", "completion"),
    "alpaca": ("instruction", "output"),
    "text": ("text",),
}
SHAREGPT_ROLES = {"human": "user", "gpt": "assistant", "system": "system", "tool": "tool", "observation": "tool"} | {
    role: role for role in ("user", "assistant")
}
ROLES = ("system", "developer", "user", "assistant", "tool")


class ShapeError(Exception):
    """A row that has no known shape, or breaks the one it has; the message says how."""


@dataclass(frozen=True, slots=True)
class Example:
    """A row in normal form: either messages, or a prompt and completion of plain text.

    Attributes:
        shape: The shape that the row was written in.
        messages: The conversation; empty for plain text.
        prompt: Plain text before the completion; empty for the `text` shape.
        completion: Plain text to learn.
        answer_from: Index of the first message that is to be learned, for shapes that name one; 0 means all of the
            assistant's turns.
        tools: Tool declarations for the template.
        options: Variables of the template, from the column `chat_template_kwargs`, as TRL reads it.
    """

    shape: Shape
    messages: tuple[Message, ...] = ()
    prompt: str = ""
    completion: str = ""
    answer_from: int = 0
    tools: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> Any:
        """What the last answer answers: all that stands before it. Text without a prompt is its own."""
        if not self.messages:
            return self.prompt or self.completion
        answers = [index for index, message in enumerate(self.messages) if message["role"] == "assistant"]
        return self.messages[: answers[-1]] if answers and answers[-1] else self.messages


def detect(row: Mapping[str, Any]) -> Shape | None:
    """The shape whose columns the row has; None if there is none."""
    for shape, columns in COLUMNS.items():
        if all(column in row for column in columns):
            return shape
    return None


def nearest(row: Mapping[str, Any]) -> str:
    """In words, how a row of no known shape could become one."""
    best = max(COLUMNS, key=lambda shape: sum(column in row for column in COLUMNS[shape]))
    missing = [column for column in COLUMNS[best] if column not in row]
    if len(missing) < len(COLUMNS[best]):
        return f"it would be {best} with {' and '.join(missing)} added"
    return "known shapes: " + "; ".join(f"{shape} ({', '.join(columns)})" for shape, columns in COLUMNS.items())


def normalise(row: Mapping[str, Any], shape: Shape) -> Example:
    """The row in normal form.

    Raises:
        ShapeError: the row breaks its shape.
    """
    missing = [column for column in COLUMNS[shape] if column not in row]
    if missing:
        raise ShapeError(f"no column {' or '.join(repr(c) for c in missing)}, which the shape {shape} needs")
    match shape:
        case "messages":
            return Example(shape, _conversation(row["messages"], "messages"), tools=_tools(row), options=_options(row))
        case "sharegpt":
            return Example(shape, _sharegpt(row["conversations"]), tools=_tools(row), options=_options(row))
        case "prompt-completion":
            return _prompt_completion(row)
        case "alpaca":
            return _alpaca(row)
        case "text":
            return Example(shape, completion=_text(row["text"], "text"))


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ShapeError(f"{name} must be text, it is {brief(value)}")
    return value


def _tools(row: Mapping[str, Any]) -> tuple[Any, ...]:
    import json

    tools = row.get("tools")
    if isinstance(tools, str):
        try:
            tools = json.loads(tools)
        except (ValueError, RecursionError) as error:  # nested thousands deep is a RecursionError
            raise ShapeError(f"tools is text that isn't JSON: {error}") from error
    if tools is None:
        return ()
    if not isinstance(tools, list):
        raise ShapeError(f"tools must be a list, it is {brief(tools)}")
    return tuple(tools)


def _options(row: Mapping[str, Any]) -> dict[str, Any]:
    options = row.get("chat_template_kwargs") or {}
    if not isinstance(options, dict):
        raise ShapeError(f"chat_template_kwargs must be an object, it is {brief(options)}")
    return options


def _conversation(messages: Any, name: str) -> tuple[Message, ...]:
    if not isinstance(messages, list) or not messages:
        raise ShapeError(f"{name} must be a list of at least one message, it is {brief(messages)}")
    return tuple(_message(message, f"{name}[{index}]") for index, message in enumerate(messages))


def _message(message: Any, name: str) -> Message:
    if not isinstance(message, dict):
        raise ShapeError(f"{name} must be an object with role and content, it is {brief(message)}")
    role = message.get("role")
    if role not in ROLES:
        raise ShapeError(f"{name}.role must be one of {', '.join(ROLES)}, it is {brief(role)}")
    content = message.get("content")
    if isinstance(content, list):
        content = _parts(content, name)
    elif content is None and message.get("tool_calls"):
        content = ""
    elif not isinstance(content, str):
        raise ShapeError(f"{name}.content must be text, it is {brief(content)}")
    kept = {key: value for key, value in message.items() if value is not None}
    return {**kept, "role": role, "content": content}


def _parts(parts: list[Any], name: str) -> str:
    texts = []
    for part in parts:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise ShapeError(
                f"{name}.content has a part that isn't text: {brief(part)}; images and audio aren't supported"
            )
        texts.append(part["text"])
    return "".join(texts)


def _sharegpt(turns: Any) -> tuple[Message, ...]:
    if not isinstance(turns, list) or not turns:
        raise ShapeError(f"conversations must be a list of at least one turn, it is {brief(turns)}")
    if isinstance(turns[0], dict) and "role" in turns[0]:  # OpenAI style under ShareGPT's column name, as TRL allows
        return _conversation(turns, "conversations")
    messages = []
    for index, turn in enumerate(turns):
        name = f"conversations[{index}]"
        if not isinstance(turn, dict):
            raise ShapeError(f"{name} must be an object with from and value, it is {brief(turn)}")
        said_by = turn.get("from")
        role = SHAREGPT_ROLES.get(said_by) if isinstance(said_by, str) else None
        if role is None:
            known = ", ".join(SHAREGPT_ROLES)
            raise ShapeError(f"{name}.from must be one of {known}, it is {brief(said_by)}")
        messages.append({"role": role, "content": _text(turn.get("value"), f"{name}.value")})
    return tuple(messages)


def _prompt_completion(row: Mapping[str, Any]) -> Example:
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, list) or isinstance(completion, list):
        before = _conversation(prompt, "prompt")
        after = _conversation(completion, "completion")
        return Example(
            "prompt-completion", before + after, answer_from=len(before), tools=_tools(row), options=_options(row)
        )
    return Example("prompt-completion", prompt=_text(prompt, "prompt"), completion=_text(completion, "completion"))


def _alpaca(row: Mapping[str, Any]) -> Example:
    asked = [_text(row["instruction"], "instruction"), _text(row.get("input") or "", "input")]
    user = "\n\n".join(part for part in asked if part)
    messages: list[Message] = [{"role": "user", "content": user}]
    if system := _text(row.get("system") or "", "system"):
        messages.insert(0, {"role": "system", "content": system})
    messages.append({"role": "assistant", "content": _text(row["output"], "output")})
    return Example("alpaca", tuple(messages), answer_from=len(messages) - 1)

"""Shapes: which of the known ways a row is written, and the one form that everything after it reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from reprlib import repr as brief
from typing import Any, Literal

from preflight.data.hints import COLUMNS, Shape, ShapeError, misnamed, unknown, unsupported
from preflight.data.turns import ROLES, Message, conversation, json_text, text

__all__ = ["COLUMNS", "ROLES", "Example", "Message", "Shape", "ShapeError", "detect", "normalise"]

MEDIA = frozenset(("image", "images", "audio", "audios", "video", "videos"))


@dataclass(slots=True)  # not frozen: that would take longer than all of `normalise`
class Example:
    """A row in normal form: either messages, or a prompt and completion of plain text. Not to be changed.

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


def detect(row: Mapping[str, Any]) -> Shape | None:
    """The shape whose columns the row has; None if there is none."""
    for shape, columns in COLUMNS.items():
        if all(column in row for column in columns):
            return shape
    return None


def normalise(row: Mapping[str, Any], shape: Shape | Literal["auto"] = "auto") -> Example:
    """The row in normal form.

    Args:
        row: The row's columns.
        shape: What `data.format` says; `auto` for the shape whose columns the row has.

    Raises:
        ShapeError: the row has no known shape, or breaks the one it has.
    """
    if shape == "auto":
        found = "messages" if "messages" in row else detect(row)
        if found is None:
            raise unknown(row)
        if found == "prompt-completion" and isinstance(row.get("label"), bool):
            raise unsupported("preference data (a label for each completion)")
        shape = found
    if len(row) > 1 and not MEDIA.isdisjoint(row):
        _no_media(row)
    try:
        return READ[shape](row)
    except KeyError as error:
        if error.args[0] not in COLUMNS[shape] or error.args[0] in row:
            raise
        raise _lacking(row, shape) from None


def _lacking(row: Mapping[str, Any], shape: Shape) -> ShapeError:
    """The error of a row that lacks columns of its shape."""
    missing = [column for column in COLUMNS[shape] if column not in row]
    given = {column: misnamed(column, row) for column in missing}
    steps = " and ".join(f"rename {name} to {column}" for column, name in given.items() if name)
    problem = f"no column {' or '.join(map(repr, missing))}, which the shape {shape} needs"
    return ShapeError(problem, f"{steps[0].upper()}{steps[1:]}." if steps else "")


def _messages(row: Mapping[str, Any]) -> Example:
    messages = conversation(row["messages"], "messages")
    if len(row) == 1:
        return Example("messages", messages)
    return Example("messages", messages, tools=_tools(row), options=_options(row))


def _sharegpt(row: Mapping[str, Any]) -> Example:
    messages = conversation(row["conversations"], "conversations")
    tools = tuple(map(_declared, _tools(row)))
    return Example("sharegpt", _with_system(row, messages), tools=tools, options=_options(row))


def _prompt_completion(row: Mapping[str, Any]) -> Example:
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, list) or isinstance(completion, list):
        before = conversation(prompt, "prompt")
        after = conversation(completion, "completion")
        return Example(
            "prompt-completion", before + after, answer_from=len(before), tools=_tools(row), options=_options(row)
        )
    return Example("prompt-completion", prompt=text(prompt, "prompt"), completion=text(completion, "completion"))


def _alpaca(row: Mapping[str, Any]) -> Example:
    asked = [text(row["instruction"], "instruction"), text(row.get("input") or "", "input")]
    answer = text(row["output"], "output")
    before = _history(row["history"]) if row.get("history") else ()
    user = "\n\n".join(part for part in asked if part)
    messages = (*before, {"role": "user", "content": user}, {"role": "assistant", "content": answer})
    messages = _with_system(row, messages)
    first = next(index for index, message in enumerate(messages) if message["role"] == "assistant")
    return Example("alpaca", messages, answer_from=first, tools=tuple(map(_declared, _tools(row))))


def _text(row: Mapping[str, Any]) -> Example:
    return Example("text", completion=text(row["text"], "text"))


READ: Mapping[Shape, Callable[[Mapping[str, Any]], Example]] = {
    "messages": _messages,
    "sharegpt": _sharegpt,
    "prompt-completion": _prompt_completion,
    "alpaca": _alpaca,
    "text": _text,
}


def _history(turns: Any) -> tuple[Message, ...]:
    """Earlier turns of an alpaca row, as LLaMA-Factory has them: pairs of instruction and answer."""
    pairs = json_text(turns, "history") if isinstance(turns, str) else turns
    good = isinstance(pairs, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)
    if not good or not all(isinstance(said, str) for pair in pairs for said in pair):
        raise ShapeError(f"history must be a list of pairs of instruction and answer, it is {brief(turns)}")
    roles = ("user", "assistant")
    return tuple({"role": role, "content": said} for pair in pairs for role, said in zip(roles, pair, strict=True))


def _with_system(row: Mapping[str, Any], messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages behind the row's system prompt, if it has one in a column of its own."""
    system = text(row.get("system") or "", "system")
    if not system or messages[0]["role"] == "system":
        return messages
    return ({"role": "system", "content": system}, *messages)


def _tools(row: Mapping[str, Any]) -> tuple[Any, ...]:
    tools = row.get("tools")
    if isinstance(tools, str):
        tools = json_text(tools, "tools") if tools.strip() else None
    if tools is None:
        return ()
    if not isinstance(tools, list):
        raise ShapeError(f"tools must be a list, it is {brief(tools)}")
    found = tuple(
        json_text(tool, f"tools[{index}]") if isinstance(tool, str) else tool for index, tool in enumerate(tools)
    )
    if wrong := [tool for tool in found if not isinstance(tool, dict)]:
        raise ShapeError(f"tools must be a list of objects, one of them is {brief(wrong[0])}")
    return found


def _declared(tool: Any) -> Any:
    """A tool as chat templates expect it; in ShareGPT and alpaca data it mostly stands bare."""
    return {"type": "function", "function": tool} if "name" in tool and "function" not in tool else tool


def _options(row: Mapping[str, Any]) -> dict[str, Any]:
    options = row.get("chat_template_kwargs") or {}
    if not isinstance(options, dict):
        raise ShapeError(f"chat_template_kwargs must be an object, it is {brief(options)}")
    return options


def _no_media(row: Mapping[str, Any]) -> None:
    for column in MEDIA & row.keys():
        value = row[column]
        if (isinstance(value, list) and value) or (isinstance(value, dict) and {"bytes", "path"} & value.keys()):
            raise unsupported(f"data with images, audio or video (column {column})")

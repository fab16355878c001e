"""What a row of no known shape, or a name that is nearly right, was probably meant to be."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from reprlib import repr as brief
from typing import Any, Literal

from preflight.data.readers import shorten

Shape = Literal["messages", "prompt-completion", "alpaca", "sharegpt", "text"]

# The columns that make a shape, most telling first.
COLUMNS: Mapping[Shape, tuple[str, ...]] = {
    "messages": ("messages",),
    "sharegpt": ("conversations",),
    "prompt-completion": ("prompt", "completion"),
    "alpaca": ("instruction", "output"),
    "text": ("text",),
}
SUPPORTED = "; ".join(f"{shape} ({', '.join(columns)})" for shape, columns in COLUMNS.items())

# Other names that are in use for a column, a key or a role.
OTHERWISE: Mapping[str, tuple[str, ...]] = {
    "messages": ("conversation", "dialog", "dialogue", "chat", "turns"),
    "conversations": ("conversation",),
    "prompt": ("question", "query", "input", "instruction", "source", "problem"),
    "completion": ("answer", "response", "reply", "output", "target", "solution"),
    "instruction": ("prompt", "question", "query", "task"),
    "output": ("response", "answer", "completion", "target", "solution"),
    "text": ("content", "document", "body", "texts"),
    "role": ("from", "speaker", "author", "sender"),
    "content": ("value", "text", "message"),
    "from": ("role", "speaker", "author", "sender"),
    "value": ("content", "text", "message"),
    "assistant": ("bot", "gpt", "chatgpt", "model", "ai", "chatbot", "agent", "output", "response"),
    "user": ("human", "customer", "client", "prompter", "input", "instruction"),
    "gpt": ("bot", "assistant", "chatgpt", "model", "ai", "chatbot", "agent", "output", "response"),
    "human": ("user", "customer", "client", "prompter", "input", "instruction"),
    "system": ("context", "sys"),
    "tool": ("function", "observation", "tool_response", "function_response", "ipython"),
    "observation": ("function", "tool_response", "function_response", "ipython"),
}
REWARDS = ("chosen", "rejected", "rewards", "reward_model", "ground_truth", "responses", "completions", "scores")


class ShapeError(Exception):
    """A row that has no known shape, or breaks the one it has; the message says how, and `fix` what to do."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


def near(wanted: Iterable[str], given: Any) -> str | None:
    """Which of the wanted names a given one was meant to be; None if that can't be told."""
    if not isinstance(given, str):
        return None
    names = list(wanted)
    word = given.strip().lower()
    for name in names:
        if word == name or word in OTHERWISE.get(name, ()):
            return name
    return next(iter(get_close_matches(word, names, 1, 0.7)), None)


def misnamed(wanted: str, keys: Iterable[Any]) -> str | None:
    """The key under which a wanted one probably stands; None if none is like it."""
    return next((key for key in keys if isinstance(key, str) and near([wanted], key)), None)


def unknown(row: Mapping[str, Any]) -> ShapeError:
    """The error of a row of no known shape: the row in short, and the least that would give it one."""
    if rewards := [name for name in REWARDS if name in row]:
        return unsupported(f"preference and reward data ({', '.join(rewards)})")
    if "input_ids" in row:
        return unsupported("data that is tokenised already (input_ids)")
    shown = shorten(", ".join(f"{name}: {brief(value)}" for name, value in list(row.items())[:20]), 160) or "no columns"
    return ShapeError(f"no known shape: {shown}", _nearest(row))


def unsupported(what: str) -> ShapeError:
    """The error of data for which there is another kind of training."""
    return ShapeError(f"{what} is not supported yet", f"Supported are {SUPPORTED}.")


def _nearest(row: Mapping[str, Any]) -> str:
    if {"role", "content"} <= row.keys() or {"from", "value"} <= row.keys():
        return "Write a conversation a row, as a list of such messages: {messages: […]}."
    if turns := next((name for name, value in row.items() if _is_turns(value)), None):
        return f"Rename {turns} to messages."
    found = {shape: _matches(columns, row) for shape, columns in COLUMNS.items()}
    shape = max(COLUMNS, key=lambda shape: _score(COLUMNS[shape], found[shape]))
    if not found[shape]:
        return f"Convert the rows to one of the known shapes: {SUPPORTED}."
    steps = [f"rename {given} to {name}" for name, given in found[shape].items() if name != given]
    steps += [f"add {name}" for name in COLUMNS[shape] if name not in found[shape]]
    told = " and ".join(steps)
    return f"{told[0].upper()}{told[1:]}: that is the shape {shape}."


def _matches(columns: tuple[str, ...], row: Mapping[str, Any]) -> dict[str, str]:
    """For each column of a shape the row's own that is it, or that it may be meant by."""
    found = {name: name for name in columns if name in row}
    for name in columns:
        others = [key for key in row if key not in found.values()]
        if name not in found and (given := misnamed(name, others)):
            found[name] = given
    return found


def _score(columns: tuple[str, ...], found: Mapping[str, str]) -> float:
    return sum(1 if name == given else 0.7 for name, given in found.items()) / len(columns)


def _is_turns(value: Any) -> bool:
    """Whether a value is a conversation, whatever its column is called."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and ({"role", "content"} <= first.keys() or {"from", "value"} <= first.keys())

"""Tool calls that nothing could carry out."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from preflight.data.hygiene.turn import Turn
from preflight.data.readers import shorten
from preflight.data.shapes import Example

WRITTEN = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)  # calls as Hermes and Qwen write them


def look(turns: list[Turn]) -> Iterator[tuple[Turn, str, str, str]]:
    """The faults in the tool calls of one example: the turn, the kind, the variety and an excerpt."""
    example = turns[0].example
    if not any(len(message) > 2 or "<tool_call>" in message["content"] for message in example.messages):
        return
    declared = names_of(example)
    known: set[str] = set()  # ids of the calls so far
    if any("tool_calls" in turn.message or "<tool_call>" in turn.text for turn in turns):
        yield turns[0], "calling", "", ""  # no fault: it counts the rows that call tools
    for turn in turns:
        message = turn.message
        for call in message.get("tool_calls") or ():
            known |= {str(call["id"])} if call.get("id") else set()
            function = call.get("function", call if "arguments" in call else None)
            if isinstance(function, dict):  # others, such as OpenAI's custom tools, take free text
                yield from _judge(turn, function, declared)
        if turn.role == "assistant" and "<tool_call>" in turn.text:
            for written in WRITTEN.findall(turn.text):
                yield from _written(turn, written, declared)
        if turn.role == "tool" and known and (answers := message.get("tool_call_id")) and str(answers) not in known:
            yield turn, "call", "orphan", shorten(str(answers), 40)


def names_of(example: Example) -> frozenset[str]:
    """The names of the tools that an example declares."""
    names = []
    for tool in example.tools:
        inner = tool.get("function", tool) if isinstance(tool, dict) else {}
        names.append(inner.get("name") if isinstance(inner, dict) else inner)
    builtin = example.options.get("builtin_tools")  # Llama 3.1's own, which its template takes by name
    names += builtin if isinstance(builtin, list) else []
    return frozenset(name for name in names if isinstance(name, str))


def _judge(turn: Turn, function: Mapping[str, Any], declared: frozenset[str]) -> Iterator[tuple[Turn, str, str, str]]:
    name, arguments = function.get("name"), function.get("arguments", {})
    if declared and str(name) not in declared:
        yield turn, "call", "undeclared", shorten(str(name), 60)
    if isinstance(arguments, str) and arguments.strip():
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            yield turn, "call", "arguments", f"{shorten(str(name), 30)}({shorten(arguments, 60)})"
            return
    if arguments and not isinstance(arguments, dict):
        yield turn, "call", "arguments", f"{shorten(str(name), 30)}({shorten(str(arguments), 60)})"


def _written(turn: Turn, text: str, declared: frozenset[str]) -> Iterator[tuple[Turn, str, str, str]]:
    """The same for a call that is written into the content as JSON. Other notations are left alone."""
    if not text.strip().startswith("{"):
        return
    try:
        call = json.loads(text)
    except (ValueError, RecursionError):
        yield turn, "call", "arguments", shorten(text, 80)
        return
    if isinstance(call.get("name"), str):
        yield from _judge(turn, call, declared)

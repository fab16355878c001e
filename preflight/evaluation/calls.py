"""Tool calls in answers, read by transformers in the notation that the expected answers are written in."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from preflight.data.hygiene.calls import names_of
from preflight.data.readers import shorten
from preflight.data.shapes import Example

Kind = Literal["none", "broken", "undeclared", "missing"]
Notation = Mapping[str, Any]  # what transformers calls a response template

_WHOLE = {"type": "function", "function": "{content}"}
_NAMED = {"type": "function", "function": {"name": "{name}", "arguments": "{content}"}}


def _notation(transform: Mapping[str, Any] = _WHOLE, **field: Any) -> Notation:
    calls = {"content": "json", "repeats": True, "transform": transform, **field}
    fields = {"tool_calls": calls, "content": {"content": "text"}}
    return {"start_anchor": "\0", "defaults": {"role": "assistant"}, "fields": fields}  # no prompt, so no anchor in it


# Of the families whose templates don't say it themselves. TRL knows more, but only templates that nobody has edited.
HERMES = _notation(open="<tool_call>", close="</tool_call>")  # Qwen 2.5 and 3, Hermes, SmolLM
XML = _notation(  # Qwen3-Coder, Qwen 3.5, Nemotron 3
    _NAMED,
    open_pattern=r"<tool_call>\s*<function=(?P<name>[^\n>]+)>",
    close_pattern=r"</tool_call>",
    content="xml-inline",
    content_args={
        "tag_pattern": r"<parameter=(?P<key>[^>\n]+)>\s*(?P<value>.*?)\s*</parameter>",
        "value_parser": {"name": "text"},
    },
)
MISTRAL = _notation(open="[TOOL_CALLS]", close_pattern=r"\Z")
MISTRAL_NAMED = _notation(
    _NAMED,
    open_pattern=r"\[TOOL_CALLS\](?P<name>[\w.-]+)(?:\[CALL_ID\]\w+)?(?:\[ARGS\])?(?=\s*\{)",
    close_pattern=r"(?=\[TOOL_CALLS\])|\Z",
)
DEEPSEEK = _notation(
    _NAMED,
    open_pattern=r"<｜tool▁call▁begin｜>\w*<｜tool▁sep｜>(?P<name>[^\n]+)\n```json\n",
    close_pattern=r"```<｜tool▁call▁end｜>",
)
LLAMA = _notation(open_pattern=r"\A\s*(?:<\|python_tag\|>)?(?=\{)", close_pattern=r"\Z")  # Llama 3.1 and 3.2
MARKED = (XML, HERMES, MISTRAL_NAMED, MISTRAL, DEEPSEEK)


@dataclass(frozen=True)
class Fault:
    """What keeps the calls in an answer from being carried out.

    Attributes:
        kind: It calls nothing; a call can't be read; its tool isn't declared; a parameter that it needs is missing.
        detail: The name, or what the parser says.
    """

    kind: Kind
    detail: str = ""


def notations(hf: Any, *, declared: bool) -> list[Notation]:
    """The notations that an answer may be in, the surest first.

    Args:
        hf: The transformers tokenizer.
        declared: Whether tools are declared. Without, a bare JSON object, as Llama writes its calls, may be anything.
    """
    return [*_own(hf), *MARKED, *([LLAMA] if declared else [])]


def fault_in(hf: Any, notation: Notation, text: str, example: Example) -> Fault | None:
    """The first fault in the tool calls of an answer to an example; None if all could be carried out."""
    try:
        calls = list(_calls(hf, notation, text))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return Fault("broken", shorten(str(error).rpartition("Error: ")[2], 80))
    if not calls:
        return Fault("none")
    declared, needed = names_of(example), _needed(example)
    for name, arguments in calls:
        if declared and name not in declared:
            return Fault("undeclared", shorten(name, 60))
        if lacking := [key for key in needed.get(name, ()) if key not in arguments]:
            return Fault("missing", f"{lacking[0]} of {name}")
    return None


def _own(hf: Any) -> Iterator[Notation]:
    """The notation that the tokenizer itself or else TRL knows for its template."""
    own = getattr(hf, "response_template", None)
    if isinstance(own, dict):
        yield own
        return
    from trl.chat_template_utils import add_response_schema

    try:
        yield add_response_schema(copy.copy(hf)).response_template
    except (ValueError, AttributeError):
        return


def _calls(hf: Any, notation: Notation, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Names and arguments. ValueError and the like if they can't be read."""
    for call in hf.parse_response(text, schema=dict(notation), prefix="").get("tool_calls") or ():
        inner = call.get("function", call)
        for function in inner if isinstance(inner, list) else [inner]:
            name = function["name"] if isinstance(function, dict) and "name" in function else None
            if not isinstance(name, str):
                raise ValueError("a call has no name")
            arguments = function.get("arguments", function.get("parameters", {}))
            if isinstance(arguments, str):
                arguments = json.loads(arguments or "{}")
            if not isinstance(arguments, dict):
                raise ValueError(f"the arguments of {name} are no JSON object")
            yield name, arguments


def _needed(example: Example) -> dict[str, Sequence[str]]:
    found: dict[str, Sequence[str]] = {}
    for tool in example.tools:
        inner = tool.get("function", tool)
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            parameters = inner.get("parameters")
            required = parameters.get("required") if isinstance(parameters, dict) else None
            found[inner["name"]] = (
                [key for key in required if isinstance(key, str)] if isinstance(required, list) else ()
            )
    return found

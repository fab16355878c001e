"""Types and pydantic's errors in plain words: what was expected, what is there, and how to write it instead."""

from __future__ import annotations

import types
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails
from typing_extensions import is_typeddict

from .problems import did_you_mean, shown
from .sections import CODE

_SIMPLE: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    date: "a date such as 2027-01-31",
    type(None): "null",
    None: "null",
    Any: "any value",
}
_PLURAL = {str: "texts", int: "whole numbers", float: "numbers"}
_TOO_MANY = 8
_TRUE, _FALSE = {"true", "yes", "on", "y"}, {"false", "no", "off", "n"}


def alternatives(kind: Any) -> list[Any]:
    """Return the members of a union, flat, without Annotated, Required and NotRequired; one type is its own union."""
    origin = get_origin(kind)
    if origin in {Annotated, NotRequired, Required}:
        inner = get_args(kind)[0]
        # Text with a pattern is its own kind: its description is more than that of the type inside.
        return [kind] if _pattern(kind) else alternatives(inner)
    if origin in {Union, types.UnionType}:
        return [member for argument in get_args(kind) for member in alternatives(argument)]
    return [kind]


def members(kind: Any) -> Mapping[str, Any]:
    """Return the keys that a mapping with fixed keys may have, and their types; empty for any other type."""
    for member in alternatives(kind):
        if is_typeddict(member):
            return dict(member.__annotations__)
        if isinstance(member, type) and issubclass(member, BaseModel):
            return {name: info.rebuild_annotation() for name, info in member.model_fields.items()}
    return {}


def at(kind: Any, key: tuple[str | int, ...]) -> Any:
    """Return the type that belongs at a key path below a type; Any where nothing is known."""
    for part in key:
        inside = members(kind)
        generic = dict if isinstance(part, str) else list
        free = [get_args(member)[-1] for member in alternatives(kind) if get_origin(member) is generic]
        kind = inside[part] if isinstance(part, str) and part in inside else next(iter(free), Any)
    return kind


def describe(kind: Any) -> str:
    """Say a type in words: ``a number or null``, ``one of nf4, fp4``, ``text or a list of texts``."""
    choices = _choices(kind)
    names = [shown(choice) if not isinstance(choice, str) else choice for choice in choices[:_TOO_MANY]]
    more = f", ... ({len(choices)} in all)" if len(choices) > _TOO_MANY else ""
    words = [f"one of {', '.join(names)}{more}"] if choices else []
    words += [_word(member) for member in alternatives(kind) if get_origin(member) is not Literal]
    *others, last = dict.fromkeys(words)
    return f"{', '.join(others)} or {last}" if others else last


def _word(kind: Any) -> str:
    if pattern := _pattern(kind):
        return "a check's code such as DATA-104" if pattern == CODE else f"text of the form {pattern.strip('^$')}"
    if get_origin(kind) is list:
        plural = _PLURAL.get(alternatives(get_args(kind)[0])[0])
        return f"a list of {plural}" if plural else "a list"
    # TypedDicts and dicts are not hashable everywhere, so that only what is left is a mapping.
    return next((word for simple, word in _SIMPLE.items() if kind is simple), "a mapping")


def _pattern(kind: Any) -> str | None:
    found = [item for info in get_args(kind)[1:] for item in getattr(info, "metadata", [info])]
    return next((item.pattern for item in found if getattr(item, "pattern", None)), None)


def _choices(kind: Any) -> list[Any]:
    return [choice for member in alternatives(kind) if get_origin(member) is Literal for choice in get_args(member)]


def refusal(kind: Any, value: Any, errors: list[ErrorDetails]) -> tuple[str, str | None]:
    """Say what is wrong with one value.

    Args:
        kind: The type that belongs there.
        value: What is there.
        errors: What pydantic said; more than one when every member of a union refused.

    Returns:
        The message, and a hint or None.
    """
    if value in ("", []) and any(error["type"] in {"string_too_short", "too_short"} for error in errors):
        return "is empty", None
    own = [error for error in errors if error["type"] not in _TYPE_ERRORS]
    if len(own) == 1:  # of a union, the member whose type it is
        message = own[0]["msg"].replace("Input should be", "must be")
        return (f"{message}, got {shown(value)}" if "must be" in message else message), None
    return f"expected {describe(kind)}, got {shown(value)}", _hint(kind, value)


# pydantic's kinds of error that only say "the type is another one"; all others have words of their own.
_TYPE_ERRORS = {
    *("bool_type", "int_type", "int_from_float", "float_type", "string_type", "string_pattern_mismatch"),
    *("date_type", "date_from_datetime_inexact", "literal_error", "none_required"),
    *("list_type", "dict_type", "model_type", "model_attributes_type"),
}


def _hint(kind: Any, value: Any) -> str | None:
    allowed = alternatives(kind)
    if keys := members(kind):
        return f"Its keys are {', '.join(list(keys)[:_TOO_MANY])}{', ...' if len(keys) > _TOO_MANY else ''}"
    match value:
        case str():
            return _text_hint(allowed, _choices(kind), value)
        case float() if float not in allowed and int in allowed and value.is_integer():
            return f"Write {int(value)}"
        case bool() | int() | float() | date() if str in allowed:
            return "Put it in quotes"
    if value is None:
        return "Give it a value, or remove the key"
    return None


def _text_hint(allowed: list[Any], choices: list[Any], text: str) -> str | None:
    if (int in allowed or float in allowed) and _is_number(text):
        return f"Remove the quotes: {text.strip()}"
    if bool in allowed and text.lower() in _TRUE | _FALSE:
        return f"Write {str(text.lower() in _TRUE).lower()}"
    return did_you_mean(text, [choice for choice in choices if isinstance(choice, str)], cutoff=0.5)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

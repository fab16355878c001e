"""The published JSON Schema of ``report.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

MOST_ERRORS = 20


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that every ``report.json`` obeys."""
    schema: dict[str, Any] = json.loads(files(__package__).joinpath("schema.json").read_text("utf-8"))
    return schema


def validate(report: Mapping[str, Any]) -> None:
    """Check a report, as read from JSON, against the schema.

    Raises:
        ValueError: The report breaks the schema; the message lists where and how, one line an error.
    """
    from jsonschema import Draft202012Validator

    errors = sorted(Draft202012Validator(report_schema()).iter_errors(report), key=lambda e: list(e.path))
    if errors:
        lines = [f"  {'/'.join(map(str, e.path)) or '(top level)'}: {e.message:.300}" for e in errors[:MOST_ERRORS]]
        more = [f"  and {len(errors) - MOST_ERRORS} more"] if len(errors) > MOST_ERRORS else []
        raise ValueError("\n".join(["the report breaks its schema:", *lines, *more]))

"""What `evaluation.format` says an answer looks like, as judges of one part each."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from preflight.config import Config
from preflight.config.evaluation import Format
from preflight.data.hygiene import language
from preflight.findings import not_available

Judge = Callable[[str], str | None]  # what is wrong with an answer, as the rest of "the answer …"
KEY = "evaluation.format"


def judges_of(config: Config) -> dict[str, Judge]:
    """A judge for each key of `evaluation.format`, in the order in which a reader would look.

    Raises:
        NotAvailable: the schema can't be read, or isn't one.
    """
    said = config.evaluation.format
    wanted = Format(regex=said) if isinstance(said, str) else said or Format(min_chars=1)
    made: dict[str, Judge] = {}
    if wanted.min_chars is not None:
        made["min_chars"] = _at_least(wanted.min_chars)
    if wanted.max_chars is not None:
        made["max_chars"] = _at_most(wanted.max_chars)
    if wanted.starts_with is not None:
        made["starts_with"] = _starts(wanted.starts_with)
    if wanted.ends_with is not None:
        made["ends_with"] = _ends(wanted.ends_with)
    if wanted.regex is not None:
        made["regex"] = _matches(wanted.regex)
    if wanted.json_schema is not None:
        made["json_schema"] = _obeys(_schema(config, wanted.json_schema))
    if wanted.language is not None:
        made["language"] = _speaks(wanted.language)
    return made


def _at_least(least: int) -> Judge:
    return lambda text: f"is too short, {len(text)} characters" if len(text) < least else None


def _at_most(most: int) -> Judge:
    return lambda text: f"is too long, {len(text):,} characters" if len(text) > most else None


def _starts(start: str) -> Judge:
    return lambda text: None if text.startswith(start.strip()) else f"does not start with {start!r}"


def _ends(end: str) -> Judge:
    return lambda text: None if text.endswith(end.strip()) else f"does not end with {end!r}"


def _matches(pattern: str) -> Judge:
    compiled = re.compile(pattern)
    return lambda text: None if compiled.fullmatch(text) else "does not match the regex"


def _speaks(code: str) -> Judge:
    """Answers too short to tell, and languages that py3langid doesn't know, are judged by nobody."""
    if not language.known(code):
        not_available(f"{KEY}.language: answers in {code!r} can't be told from others; remove the key")

    def judge(text: str) -> str | None:
        found = language.of(text)
        return None if found is None or language.same(found, [code]) else f"is in another language ({found})"

    return judge


def _obeys(schema: Any) -> Judge:
    """JSON that the schema admits. What it refers to has to be inside: nothing is fetched."""
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    draft = validator_for(schema, default=Draft202012Validator)
    try:
        draft.check_schema(schema)
    except SchemaError as error:
        not_available(f"{KEY}.json_schema is not a JSON schema: {error.json_path}: {error.message:.200}")
    validator = draft(schema, registry=Registry())

    def fault_in(value: Any) -> Any:
        try:
            return best_match(validator.iter_errors(value))
        except Unresolvable as error:
            not_available(f"{KEY}.json_schema refers to {error.ref!r}, which it does not hold: put it into $defs")

    def judge(text: str) -> str | None:
        try:
            fault = fault_in(json.loads(text))
        except ValueError as error:
            return f"is not JSON ({error})"
        except RecursionError:
            return "is nested too deeply"
        return f"breaks the JSON schema at {fault.json_path} ({fault.message:.100})" if fault else None

    try:
        fault_in({})
    except RecursionError:
        not_available(f"{KEY}.json_schema refers to itself without end")
    return judge


def _schema(config: Config, said: str | Mapping[str, Any]) -> Any:
    if not isinstance(said, str):
        return dict(said)
    try:
        schema = json.loads(config.resolve(said).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        what = getattr(error, "strerror", None) or error
        not_available(f"{KEY}.json_schema: {said} can't be read as JSON: {what}")
    if not isinstance(schema, (dict, bool)):
        not_available(f"{KEY}.json_schema: {said} holds no schema, which is an object")
    return schema

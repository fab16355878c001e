"""The user's own prompts with what must hold for the answers: `evaluation.suite`."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from preflight.config import Config
from preflight.config.problems import did_you_mean
from preflight.data import readers, source
from preflight.data.readers import Broken, Row
from preflight.data.shapes import ShapeError
from preflight.data.turns import conversation
from preflight.evaluation.generate import BATCH, Reply, Speak
from preflight.findings import not_available
from preflight.model.tokenizer import Tokenizer

Lasting = Callable[[Reply], str | None]  # what is wrong with an answer; None if it is as it must be
ASKS = ("prompt", "messages")


@dataclass(frozen=True)
class Case:
    """A prompt with what must hold for its answer.

    Attributes:
        where: `suite.jsonl:3`.
        name: What the user calls it; else the beginning of what is asked.
        ids: The prompt as the model reads it.
        demands: What must hold.
    """

    where: str
    name: str
    ids: list[int]
    demands: tuple[Lasting, ...]

    def faults(self, reply: Reply) -> list[str]:
        """What doesn't hold for an answer."""
        return [fault for demand in self.demands if (fault := demand(reply))]


@dataclass(frozen=True)
class Held:
    """A case with the answers of both models, and what doesn't hold for them."""

    case: Case
    base: Reply
    tuned: Reply
    base_faults: list[str]
    tuned_faults: list[str]


def cases_of(config: Config, tokenizer: Tokenizer) -> list[Case]:
    """The cases of `evaluation.suite`.

    A `prompt` is put to the model the way the training data puts prompts: as the user's message where that has
    conversations, as it stands where it is plain text.

    Raises:
        NotAvailable: the file can't be read, or a row of it makes no sense.
    """
    name = str(config.evaluation.suite)
    rows = list(readers.read(config.resolve(name), name))
    first = next((example for _, _, example in source.examples(config, "train")), None)
    plain = tokenizer.template is None or (first is not None and not first.messages)
    found = []
    for row in rows:
        try:
            if isinstance(row, Broken):
                raise ShapeError(row.problem)
            found.append(_case(row, tokenizer, plain=plain))
        except ShapeError as error:
            not_available(f"evaluation.suite: {row.where}: {error}")
    if not found:
        not_available(f"evaluation.suite: {name} has no rows")
    return found


def hold(cases: list[Case], base: Speak, tuned: Speak, limit: int) -> list[Held]:
    """Greedy answers of both models to all cases: each of them was wanted, so none is left out for time."""
    found = []
    for start in range(0, len(cases), BATCH):
        batch = cases[start : start + BATCH]
        prompts = [case.ids for case in batch]
        for case, before, after in zip(batch, base(prompts, limit), tuned(prompts, limit), strict=True):
            found.append(Held(case, before, after, case.faults(before), case.faults(after)))
    return found


def _case(row: Row, tokenizer: Tokenizer, *, plain: bool) -> Case:
    values = row.value
    for key in values:
        if key not in (known := [*ASKS, "name", *DEMANDS]):
            raise ShapeError(f"unknown key {key}. {did_you_mean(key, known) or 'Known are ' + ', '.join(known)}")
    if ("prompt" in values) == ("messages" in values):
        raise ShapeError("must have either prompt or messages")
    demands = tuple(DEMANDS[key](key, values[key]) for key in values if key in DEMANDS)
    if not demands:
        raise ShapeError(f"demands nothing: give it one of {', '.join(DEMANDS)}")
    asked, text = _asked(values, tokenizer, plain=plain)
    ids = list(tokenizer.hf(text, add_special_tokens=text == asked)["input_ids"])
    if not ids:
        raise ShapeError("prompt is empty")
    return Case(row.where, str(values.get("name") or asked[:60]), ids, demands)


def _asked(values: Mapping[str, Any], tokenizer: Tokenizer, *, plain: bool) -> tuple[str, str]:
    """What is asked, and the text that the model reads."""
    if "prompt" in values:
        asked = _text("prompt", values["prompt"])
        if plain:
            return asked, asked
        messages = conversation([{"role": "user", "content": asked}], "prompt")
    else:
        messages = conversation(values["messages"], "messages")
        asked = str(messages[-1].get("content"))
    if tokenizer.template is None:
        raise ShapeError("has messages, but the tokenizer has no chat template; use prompt")
    try:
        return asked, tokenizer.render(messages, generation_prompt=True)[0]
    except Exception as error:  # a template is a program: besides TemplateError it raises TypeError, KeyError, …
        raise ShapeError(f"the chat template refuses it: {type(error).__name__}: {error}") from error


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ShapeError(f"{key} must be text, it is {json.dumps(value)[:60]}")
    return value


def _texts(key: str, value: Any) -> list[str]:
    return [_text(key, item) for item in (value if isinstance(value, list) else [value])]


def _number(key: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ShapeError(f"{key} must be a whole number, it is {json.dumps(value)[:60]}")
    return value


def _wanted(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ShapeError(f"{key} must be true or false, it is {json.dumps(value)[:60]}")
    return value


def _contains(key: str, value: Any) -> Lasting:
    words = _texts(key, value)
    return lambda reply: _listed("lacks", [word for word in words if word.lower() not in reply.text.lower()])


def _not_contains(key: str, value: Any) -> Lasting:
    words = _texts(key, value)
    return lambda reply: _listed("has", [word for word in words if word.lower() in reply.text.lower()])


def _listed(verb: str, words: list[str]) -> str | None:
    return f"{verb} {', '.join(map(repr, words))}" if words else None


def _regex(key: str, value: Any) -> Lasting:
    try:
        pattern = re.compile(_text(key, value))
    except re.error as error:
        raise ShapeError(f"regex is no regular expression: {error}") from error
    return lambda reply: None if pattern.search(reply.text) else f"doesn't match {pattern.pattern!r}"


def _max_chars(key: str, value: Any) -> Lasting:
    most = _number(key, value)
    return lambda reply: f"has {len(reply.text)} characters, not {most} at most" if len(reply.text) > most else None


def _min_chars(key: str, value: Any) -> Lasting:
    least = _number(key, value)
    return lambda reply: f"has {len(reply.text)} characters, not {least} at least" if len(reply.text) < least else None


def _json(key: str, value: Any) -> Lasting:
    wanted = _wanted(key, value)
    said = "is no JSON" if wanted else "is JSON"
    return lambda reply: said if _is_json(reply.text) != wanted else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _stops(key: str, value: Any) -> Lasting:
    wanted = _wanted(key, value)
    said = "does not stop by itself" if wanted else "stops by itself"
    return lambda reply: said if reply.stopped != wanted else None


DEMANDS: Mapping[str, Callable[[str, Any], Lasting]] = {
    "contains": _contains,
    "not_contains": _not_contains,
    "regex": _regex,
    "max_chars": _max_chars,
    "min_chars": _min_chars,
    "json": _json,
    "stops": _stops,
}

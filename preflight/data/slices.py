"""Slices: kinds of rows that data may have too few of. Some are counted in all data, `data.slices` declares others."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from preflight.config import Config
from preflight.data import scripts, source
from preflight.data.readers import Row
from preflight.data.shapes import Example

SHORT, LONG = 1 / 4, 4  # times the median
DECLINES = re.compile(
    r"\W*(?:(?:i['’]?m|i am|we are|we['’]re)?\s*(?:very |really |so |afraid )*sorry\b|unfortunately\b|"
    r"i\s?(?:can(?:no|['’])t|can not|won['’]t|will not|do(?:n['’]t| not) (?:know|have))\b|"
    r"i(?:['’]m| am) (?:not able|unable|afraid)\b)",
    re.IGNORECASE,
)

# What is counted in all data, each as a mask of the profile's rows.
AUTOMATIC: Mapping[str, Callable[[Any], Any]] = {
    "short answers": lambda profile: profile["said"] < SHORT * profile["said"].median(),
    "long answers": lambda profile: profile["said"] > LONG * profile["said"].median(),
    "other scripts": lambda profile: ~profile["script"].isin([scripts.LATIN, scripts.CODE]),
    "code": lambda profile: profile["script"] == scripts.CODE,
    "multi-turn": lambda profile: profile["roles"].str.count("u") > 1,
    "system prompt": lambda profile: profile["roles"].str.match("[sd]"),
    "tools": lambda profile: profile["roles"].str.contains(".t", regex=True),
    "empty input": lambda profile: profile["asks_nothing"],
    "refusals": lambda profile: profile["declines"],
}


@dataclass(frozen=True, slots=True)
class Slice:
    """A declared slice in one split.

    Attributes:
        rows: How many rows are in it.
        missing: Columns that it names and no row has.
    """

    rows: int
    missing: tuple[str, ...] = ()


def asks_nothing(example: Example) -> bool:
    """Whether a user's turn, or the prompt of plain text, is blank."""
    if not example.messages:
        return example.shape != "text" and not example.prompt.strip()
    return any(message["role"] == "user" and not message["content"].strip() for message in example.messages)


def declines(example: Example) -> bool:
    """Whether the last answer begins as one that turns the user down, or that says it doesn't know."""
    return DECLINES.match(scripts.sample(example), 0, 100) is not None


def declared(config: Config, split: str) -> dict[str, Slice]:
    """The slices of `data.slices` in a split, by name. Reads the split once, if there are any."""
    wanted = config.data.slices
    if not wanted:
        return {}
    ways = {name: in_slice(asked) for name, asked in wanted.items()}
    counts = dict.fromkeys(wanted, 0)
    missing = {name: set() if isinstance(asked, str) else set(asked) for name, asked in wanted.items()}
    for _, row, example in source.examples(config, split):
        for name, way in ways.items():
            counts[name] += way(row, example)
            missing[name] -= row.value.keys()
    return {name: Slice(counts[name], tuple(sorted(missing[name]))) for name in wanted}


def in_slice(asked: str | Mapping[str, Any]) -> Callable[[Row, Example], bool]:
    """What tells whether a row is in a slice, given as in `data.slices`."""
    if isinstance(asked, str):
        pattern = re.compile(asked)
        return lambda _, example: any(pattern.search(text) for text in _texts(example))
    values = {
        column: {_key(value) for value in (given if isinstance(given, list) else [given])}
        for column, given in asked.items()
    }
    return lambda row, _: all(column in row.value and _key(row.value[column]) in values[column] for column in values)


def _texts(example: Example) -> tuple[str, ...]:
    return tuple(m["content"] for m in example.messages) or (example.prompt, example.completion)


def _key(value: Any) -> str:
    """A value as it is compared: as text in either case, since CSV knows nothing else."""
    return "" if value is None else str(value).strip().casefold()

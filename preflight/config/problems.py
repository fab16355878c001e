"""What is wrong with a config file, as values: one :class:`Problem` a fault, all in one :class:`ConfigError`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One fault of a config file, or one notice about it, ready to be printed.

    Attributes:
        path: The config file, as the user wrote it.
        line: 1-based line, or None when the fault is about the whole file.
        column: 1-based column, or None likewise.
        key: Dotted key, such as ``training.learning_rate`` or ``gate.waivers[0].code``; empty for the whole file.
        message: What is wrong, without a full stop.
        hint: What to do about it, or None.
    """

    path: Path
    line: int | None
    column: int | None
    key: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        text = ": ".join(part for part in (place, self.key, self.message) if part)
        return f"{text}. {self.hint}" if self.hint else text


class ConfigError(Exception):
    """The config can't be used. ``problems`` holds every fault at once; ``str()`` renders them sorted by line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: list[Problem] = sorted(problems, key=_position)
        super().__init__("\n".join(map(str, self.problems)))


def _position(problem: Problem) -> tuple[int, int, str]:
    return (problem.line or 0, problem.column or 0, problem.key)


def dotted(key: Key) -> str:
    """Render a key path: ``("gate", "waivers", 0, "code")`` is ``gate.waivers[0].code``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")


def nearest(word: str, valid: Iterable[str], count: int = 3, cutoff: float = 0.6) -> list[str]:
    """Return at most ``count`` of the valid words that look like or start with ``word``, best first, in any case."""
    word, by_lower = word.lower(), {name.lower(): name for name in valid}
    alike = difflib.get_close_matches(word, by_lower, count, cutoff)
    longer = [name for name in by_lower if len(word) > 2 and name.startswith(word)]
    return [by_lower[name] for name in dict.fromkeys(alike + longer)][:count]


def did_you_mean(word: str, valid: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return ``Did you mean a, b or c?`` for the nearest valid words, or None when none is near."""
    *others, last = nearest(word, valid, cutoff=cutoff) or [""]
    names = f"{', '.join(others)} or {last}" if others else last
    return f"Did you mean {names}?" if names else None


def shown(value: object, width: int = 60) -> str:
    """Render a value the way a message shows it: short, on one line, text in quotes."""
    match value:
        case bool():
            text = str(value).lower()
        case None:
            text = "null"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str() | int() | float():
            text = repr(value)
        case _:
            text = str(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"

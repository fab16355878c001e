"""What a data file gives: rows, and places that aren't rows. With the words to say where and what."""

import json
import re
from dataclasses import dataclass
from typing import Any

# An escape such as \\ud83d that is not plainly one half of a pair: what `flaw` has to look at.
HALF = re.compile(
    r"\\u[dD](?:[89abAB]..(?!\\u[dD][c-fC-F])|(?<![^\\]\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F])", re.DOTALL
)
LINE, ROW = ":", " row "  # before the number of a line or a row


@dataclass(slots=True)  # not frozen: that would take as long as half the parsing of a short row
class Row:
    """One row as it stands in the file.

    Attributes:
        file: The file's name, as findings show it.
        line: 1-based line for JSONL and CSV, 1-based row for the others.
        value: The row's columns.
        unit: `LINE` or `ROW`.
    """

    file: str
    line: int
    value: dict[str, Any]
    unit: str = LINE

    @property
    def where(self) -> str:
        return f"{self.file}{self.unit}{self.line}"


@dataclass(frozen=True, slots=True)
class Broken:
    """A place in a file that isn't a row.

    Attributes:
        file: The file's name.
        line: As in `Row`; None if the whole file can't be read.
        problem: What is wrong, with the text where it helps.
        fix: What to do, where that isn't plain.
        unit: As in `Row`.
    """

    file: str
    line: int | None
    problem: str
    fix: str = ""
    unit: str = LINE

    @property
    def where(self) -> str:
        return f"{self.file}{self.unit}{self.line}" if self.line else self.file


def parse(text: str) -> Any:
    """A JSON value that was written as text.

    Raises:
        ValueError: it isn't one that a tokenizer could read; the message says why.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if "\\" in text and HALF.search(text) and (found := flaw(value)):
        raise ValueError(found)
    return value


def flaw(value: Any) -> str:
    """What no tokenizer could read in a JSON value; empty if all of it can be.

    JSON can write half a character, as `\\ud83d`.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        return f"half a character: {half} is one half of a surrogate pair without the other"
    except (RecursionError, ValueError) as error:  # nested a thousand deep, or an integer of thousands of digits
        return f"not readable JSON: {error}"
    return ""


def caret(text: str, position: int, width: int = 60) -> str:
    """The text around a position, with a caret under it."""
    line_start = text.rfind("\n", 0, position) + 1
    start = max(line_start, position - width // 2)
    line = text[start : start + width].partition("\n")[0]
    shown = "".join(letter if letter.isprintable() else "·" for letter in line)
    return f"    {shown}\n    {' ' * (position - start)}^"


def shorten(text: str, width: int = 80) -> str:
    """One line of at most `width` characters."""
    line = " ".join(text[: 8 * width].encode("utf-8", "backslashreplace").decode().split())
    return line if len(line) <= width and len(text) <= 8 * width else line[: width - 1] + "…"


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {str: "text", list: "a list", dict: "an object", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")

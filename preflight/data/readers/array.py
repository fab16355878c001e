"""JSON files: a list of rows, read one after the other, however long the list is.

`ijson` would read them too, but stops at the first error; here reading goes on at the next element.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from preflight.data.readers import encoding
from preflight.data.readers.rows import HALF, ROW, Broken, Row, caret, flaw, kind, shorten
from preflight.data.readers.source import Source

CHUNK = 1 << 16  # bytes
NEAR_END = 16  # characters: an error this close to the end of what was read may be nothing but the end
LONGEST_OPENING = 1 << 12  # characters
SPACE = re.compile(r"[ \t\r\n\ufeff]*")
COMMA = re.compile(r"[ \t\r\n]*,[ \t\r\n]*(?=\{)")  # between two objects
OPENING = re.compile(r'\{[ \t\r\n]*"(?:[^"\\]|\\.)*"[ \t\r\n]*:')  # of an object, with its first key


def json_list(source: Source) -> Iterator[Row | Broken]:
    """The rows of a JSON file, and every place in it that isn't one."""
    with source.open() as stream:
        window = _Window(source, stream)
        if window.skip_space() == "[":
            window.at += 1
            yield from _elements(window)
            return
        value = window.element()
        if not isinstance(value, Broken):
            found = f"{kind(value)} with the keys {', '.join(value)}" if isinstance(value, dict) else kind(value)
            fix = "Write the rows as one list: [{…}, {…}]; or one a line, and name the file .jsonl."
            value = Broken(source.name, 1, f"a .json file must hold a list of rows, this holds {shorten(found)}", fix)
        yield from window.problems
        yield value


def _elements(window: "_Window") -> Iterator[Row | Broken]:
    name = window.source.name
    number = 0
    opening = ""  # how a row begins in this file
    more, problem = window.step(first=True)
    while True:
        if window.problems:
            yield from window.problems
            window.problems.clear()
        if problem:
            yield window.broken(problem)
        if not more or (problem and not window.opening() and not window.find(opening)):
            return
        number += 1
        opening = opening or window.opening()
        value = window.element()
        if isinstance(value, Broken):
            yield value
            more, problem = window.find(opening), ""
            continue
        if not isinstance(value, dict):
            yield Broken(name, number, f"a row must be an object, this is {kind(value)}", unit=ROW)
        elif window.suspect and (found := flaw(value)):
            yield Broken(name, number, found, unit=ROW)
        else:
            yield Row(name, number, value, ROW)
        more, problem = window.step()


class _Window:
    """The part of a file that was read and isn't done with.

    Attributes:
        source: The file.
        text: The part.
        at: Where in it the next element is.
        suspect: Whether the last element may hold half a character.
        problems: What is wrong with the encoding.
    """

    def __init__(self, source: Source, stream: BinaryIO) -> None:
        self.source, self._stream = source, stream
        self.text, self.at, self.suspect = "", 0, False
        self.problems: list[Broken] = []
        self._line, self._ended = 1, False  # the line on which the part begins; whether the file is at its end
        self._decoder: codecs.IncrementalDecoder = codecs.getincrementaldecoder("utf-8")()
        self._scan = json.JSONDecoder().raw_decode

    def skip_space(self) -> str:
        """Go to the next character that isn't space, and give it; nothing at the end of the file."""
        while True:
            self.at = SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]  # it always matches
            if self.at < len(self.text) or self._ended:
                return self.text[self.at : self.at + 1]
            self._read()

    def step(self, *, first: bool = False) -> tuple[bool, str]:
        """Go to the next element: whether there is one, and what is wrong with what stands before it."""
        comma = None if first else COMMA.match(self.text, self.at)
        if comma:  # the usual case, in one go
            self.at = comma.end()
            return True, ""
        char = self.skip_space()
        separated = char == "," and not first
        if separated:
            self.at += 1
            char = self.skip_space()
        if not char:
            return False, "the list is never closed: the file is cut off"
        if char == "]":
            self.at += not separated
            behind = "not JSON: text behind the list" if self.skip_space() else ""
            return False, "not JSON: a comma behind the last row" if separated else behind
        return True, "" if first or separated else "not JSON: Expecting ',' delimiter"

    def element(self) -> Any:
        """The JSON value at this place, and go behind it; what is wrong, if there is none."""
        while True:
            try:
                value, end = self._scan(self.text, self.at)
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self.text) - NEAR_END or error.msg.startswith("Unterminated string")
                if self._ended or not cut:
                    return self.broken(f"not JSON: {error.msg}", error.pos)
            except (RecursionError, ValueError) as error:
                return Broken(self.source.name, self._line_of(self.at), f"not readable JSON: {error}")
            else:
                if end < len(self.text) or self._ended:  # a number may go on
                    self.suspect = HALF.search(self.text, self.at, end) is not None
                    self.at = end
                    return value
            self._read()

    def opening(self) -> str:
        """How the row at this place begins, up to its first value; empty if it isn't one."""
        while not (found := OPENING.match(self.text, self.at)):
            enough = self._ended or len(self.text) - self.at > LONGEST_OPENING
            if enough or not self.text.startswith("{", self.at):
                return ""
            self._read()
        return found.group()

    def find(self, opening: str) -> bool:
        """Go to the next row that begins like this, behind the place; False if there is none."""
        self.at += 1
        while opening:
            found = self.text.find(opening, self.at)
            if found >= 0:
                self.at = found
                return True
            if self._ended:
                break
            self.at = max(self.at, len(self.text) - len(opening))
            self._read()
        return False

    def broken(self, problem: str, at: int | None = None) -> Broken:
        """A problem at a place, with the text there."""
        place = self.at if at is None else at
        return Broken(self.source.name, self._line_of(place), f"{problem}\n{caret(self.text, place)}")

    def _line_of(self, at: int) -> int:
        return self._line + self.text.count("\n", 0, at)

    def _read(self) -> None:
        """Read on; the more, the longer an element is that hasn't come to its end."""
        self._line = self._line_of(self.at)
        self.text, self.at = self.text[self.at :], 0
        chunk = self._stream.read(max(CHUNK, len(self.text)))
        self._ended = not chunk
        raw = self._decoder.getstate()[0] + chunk
        try:
            self.text += self._decoder.decode(chunk, self._ended)
        except UnicodeDecodeError as error:
            line = self._line_of(len(self.text)) + raw.count(b"\n", 0, error.start)
            likely = encoding.guess(self.source, raw)
            self.problems.append(encoding.broken(self.source, line, f"0x{raw[error.start]:02x}", likely))
            self._decoder = codecs.getincrementaldecoder(likely or "utf-8")("replace")
            self.text += self._decoder.decode(raw, self._ended)

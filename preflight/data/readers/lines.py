"""Text files that are read line by line: JSONL and CSV."""

import csv
import json
from collections.abc import Iterator
from itertools import islice

from preflight.data.readers import encoding
from preflight.data.readers.rows import HALF, Broken, Row, caret, flaw, kind, shorten
from preflight.data.readers.source import Source

SPACE = " \t\r\n\ufeff"  # a byte order mark may stand before any line of files that `cat` put together
DELIMITERS = ",;\t"
MAX_CELL = 1 << 28  # characters; a quote that is never closed makes one cell of the rest of the file
MAX_OPEN = 10  # quotes that are never closed, until the file is given up
UNCLOSED = "not CSV: the quote that opens a cell here is never closed"


def jsonl(source: Source) -> Iterator[Row | Broken]:
    """The rows of a JSONL file. This is the hot path: what is wrong with a line is found out afterwards."""
    scan = json.JSONDecoder().raw_decode
    name = source.name
    for number, (line, problem) in enumerate(lines(source), 1):
        if problem is not None:
            yield problem
        text = line.strip(SPACE)
        if not text:
            continue
        try:
            value, end = scan(text)
        except (ValueError, RecursionError):
            end = -1
        if end != len(text) or type(value) is not dict or ("\\" in text and HALF.search(text) and flaw(value)):
            yield Broken(name, number, *_wrong(text))
        else:
            yield Row(name, number, value)


def lines(source: Source) -> Iterator[tuple[str, Broken | None]]:
    """The lines of a text file with their ends, and what is wrong with them.

    A line that isn't UTF-8 is empty. A whole file in another encoding is one `Broken`, and read in what it looks like.
    """
    encoded, errors = "utf-8", "strict"
    damaged = False
    with source.open() as stream:
        for number, raw in enumerate(stream, 1):
            try:
                yield raw.decode(encoded, errors), None
            except UnicodeDecodeError as error:
                likely = None if damaged else encoding.guess(source, raw)
                damaged = likely is None
                encoded, errors = (likely, "replace") if likely else (encoded, errors)
                text = raw.decode(encoded, errors) if likely else ""
                yield (
                    text,
                    encoding.broken(source, number, f"0x{raw[error.start]:02x} at column {error.start + 1}", likely),
                )


def _wrong(text: str) -> tuple[str, str]:
    """What is wrong with a line that isn't a row, and what to do where that isn't plain."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg}\n{caret(text, error.pos)}", ""
    except (RecursionError, ValueError) as error:  # nested thousands deep, or an integer of thousands of digits
        return f"not readable JSON: {error}", ""
    if isinstance(value, dict):
        return flaw(value), ""
    fix = "Write one object a line; if the file is one list of rows, name it .json." if isinstance(value, list) else ""
    return f"a row must be an object, this is {kind(value)}: {shorten(text)}", fix


def table(source: Source) -> Iterator[Row | Broken]:
    """The rows of a CSV file. What separates its columns is read off its header."""
    csv.field_size_limit(MAX_CELL)  # the default takes a cell of 128 KiB for a mistake
    head = next((text for text, _ in lines(source) if text.strip(SPACE)), "")
    delimiter = max(DELIMITERS, key=head.count)
    header: list[str] = []
    skip = 0
    for _ in range(MAX_OPEN):
        opened = None
        for line, cells in _records(source, delimiter, skip):
            if isinstance(cells, Broken):
                yield cells
                opened = line if cells.problem == UNCLOSED else None
            elif not header:
                header = cells
                if twice := sorted({repr(cell) for cell in cells if cells.count(cell) > 1}):
                    yield Broken(source.name, line, f"several columns are named {', '.join(twice)}")
            elif len(cells) == len(header):
                yield Row(source.name, line, dict(zip(header, cells, strict=True)))
            else:
                yield Broken(source.name, line, f"not {len(header)} columns like the header, but {len(cells)}")
        if opened is None:
            return
        skip = opened  # the lines behind the quote are read again, as rows


def _records(source: Source, delimiter: str, skip: int) -> Iterator[tuple[int, list[str] | Broken]]:
    """The line on which each record begins, and its cells or what is wrong with it."""
    damaged: list[Broken] = []

    def texts() -> Iterator[str]:
        for text, problem in islice(lines(source), skip, None):
            damaged.extend([problem] if problem else [])
            yield text.lstrip("\ufeff")

    reader = csv.reader(texts(), delimiter=delimiter, strict=True)
    while True:
        line = skip + reader.line_num + 1
        problem = ""
        cells: list[str] | None = []
        try:
            cells = next(reader, None)
        except csv.Error as error:
            problem = UNCLOSED if str(error) == "unexpected end of data" else f"not CSV: {error}"
        if problem != UNCLOSED:
            yield from ((broken.line or line, broken) for broken in damaged)
        damaged.clear()
        if problem:
            yield line, Broken(source.name, line, problem)
        elif cells is None:
            return
        elif cells:
            yield line, cells

"""Reading data files row by row. A broken row is a `Broken`, never an exception: the rest is still judged."""

import codecs
import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any

SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands in the file.

    Attributes:
        file: The file.
        line: 1-based line for text files, 1-based row number for the others.
        value: The row's columns.
    """

    file: Path
    line: int
    value: dict[str, Any]

    @property
    def where(self) -> str:
        return f"{self.file.name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Broken:
    """A place in a file that isn't a row.

    Attributes:
        file: The file.
        line: 1-based line; None if the whole file can't be read.
        problem: What is wrong, with the text where it helps.
    """

    file: Path
    line: int | None
    problem: str

    @property
    def where(self) -> str:
        return f"{self.file.name}:{self.line}" if self.line else self.file.name


def find_files(folder: Path, paths: str | list[str]) -> tuple[list[Path], list[Broken]]:
    """The files behind `data.train` or `data.validation`, and what is wrong with the names that lead nowhere.

    Args:
        folder: The config's folder; relative paths start here.
        paths: A path, a glob, or a list of them.
    """
    files: list[Path] = []
    problems: list[Broken] = []
    for path in [paths] if isinstance(paths, str) else paths:
        full = folder / Path(path).expanduser()
        if has_magic(path):
            matches = [Path(match) for match in sorted(glob(str(full), recursive=True)) if Path(match).is_file()]
            files += matches
            problems += [] if matches else [Broken(full, None, f"no file matches {path}")]
        elif not full.exists():
            near = sorted(p.name for p in full.parent.glob("*") if p.suffix in SUFFIXES) if full.parent.is_dir() else []
            beside = f"; beside it: {', '.join(near[:5])}" if near else ""
            problems.append(Broken(full, None, f"{path} does not exist{beside}"))
        elif full.is_dir():
            problems.append(
                Broken(full, None, f"{path} is a directory; name the files in it, or a glob: {path}/*.jsonl")
            )
        elif full.suffix not in SUFFIXES:
            problems.append(Broken(full, None, f"{path} is not one of {', '.join(SUFFIXES)}"))
        else:
            files.append(full)
    return files, problems


def read(file: Path) -> Iterator[Row | Broken]:
    """Every row of a file, in order, and every place that isn't one.

    Args:
        file: A `.jsonl`, `.json` (a list of objects), `.csv` or `.parquet` file.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(4)
        if not head:
            yield Broken(file, None, "the file is empty")
        elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
            yield Broken(file, None, f"{_not_utf8(head[0])}; it is UTF-16 or UTF-32: save the file as UTF-8")
        else:
            yield from {".jsonl": _jsonl, ".json": _json, ".csv": _csv, ".parquet": _parquet}[file.suffix](file)
    except OSError as error:
        yield Broken(file, None, f"can't be read: {error.strerror or error}")


def _not_utf8(byte: int) -> str:
    return f"not UTF-8: byte 0x{byte:02x}"


def _lines(file: Path) -> Iterator[str]:
    """The lines of a text file with their ends. UnicodeDecodeError at the first one that isn't UTF-8."""
    with file.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8")


def _jsonl(file: Path) -> Iterator[Row | Broken]:
    with file.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                yield Broken(file, number, f"{_not_utf8(raw[error.start])} at column {error.start + 1}")
                continue
            if text.strip():
                yield _row(file, number, text)


def _row(file: Path, number: int, text: str) -> Row | Broken:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        return Broken(file, number, f"not JSON: {error.msg}\n{caret(text, error.pos)}")
    except (RecursionError, ValueError) as error:  # nested thousands deep, or an integer of thousands of digits
        return Broken(file, number, f"not readable JSON: {error}")
    if not isinstance(value, dict):
        return Broken(file, number, f"a row must be an object, this is {_kind(value)}: {shorten(text)}")
    return _whole(Row(file, number, value)) if "\\u" in text else Row(file, number, value)


def _whole(row: Row) -> Row | Broken:
    """The row, unless it holds half a character: JSON can write one as `\\ud83d`, and no tokenizer can read it."""
    try:
        json.dumps(row.value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        return Broken(row.file, row.line, f"half a character: {half} is one half of a surrogate pair without the other")
    except RecursionError as error:
        return Broken(row.file, row.line, f"not readable JSON: {error}")
    return row


def _json(file: Path) -> Iterator[Row | Broken]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
        rows = json.loads(text)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        yield Broken(file, line, _not_utf8(error.object[error.start]))
        return
    except json.JSONDecodeError as error:
        hint = "; it looks like JSONL: rename it to .jsonl" if error.msg == "Extra data" else ""
        yield Broken(file, error.lineno, f"not JSON: {error.msg}{hint}\n{caret(text, error.pos)}")
        return
    except (RecursionError, ValueError) as error:
        yield Broken(file, None, f"not readable JSON: {error}")
        return
    if not isinstance(rows, list):
        yield Broken(file, 1, f"a .json file must hold a list of rows, this holds {_kind(rows)}")
        return
    for number, value in enumerate(rows, 1):
        if isinstance(value, dict):
            yield _whole(Row(file, number, value))
        else:
            yield Broken(file, number, f"a row must be an object, this is {_kind(value)}")


def _csv(file: Path) -> Iterator[Row | Broken]:
    csv.field_size_limit(sys.maxsize)  # the default takes a cell of 128 KiB for a mistake
    reader = csv.DictReader(_lines(file))
    try:
        for value in reader:
            if None in value or None in value.values():
                yield Broken(file, reader.line_num, f"not {len(reader.fieldnames or ())} columns like the header")
            else:
                yield Row(file, reader.line_num, dict(value))
    except csv.Error as error:
        yield Broken(file, reader.line_num, f"not CSV: {error}")
    except UnicodeDecodeError as error:
        yield Broken(file, reader.line_num + 1, f"{_not_utf8(error.object[error.start])} at column {error.start + 1}")


def _parquet(file: Path) -> Iterator[Row | Broken]:
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(file).iter_batches(1024):
            for value in batch.to_pylist():
                number += 1
                yield Row(file, number, value)
    except Exception as error:  # pyarrow raises whatever the damage leads to, from ArrowInvalid to UnicodeDecodeError
        yield Broken(file, None, f"not Parquet beyond row {number}: {shorten(str(error))}")


def caret(text: str, position: int, width: int = 60) -> str:
    """The text around a position, with a caret under it."""
    line_start = text.rfind("\n", 0, position) + 1
    start = max(line_start, position - width // 2)
    line = text[start : start + width].partition("\n")[0]
    shown = "".join(letter if letter.isprintable() else "·" for letter in line)
    return f"    {shown}\n    {' ' * (position - start)}^"


def shorten(text: str, width: int = 80) -> str:
    """One line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def _kind(value: Any) -> str:
    names = {str: "text", list: "a list", dict: "an object", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")

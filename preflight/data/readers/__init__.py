"""Reading data files row by row. A broken row is a `Broken`, never an exception: the rest is still judged."""

import json
from collections.abc import Iterator
from pathlib import Path

from preflight.data.readers import array, columnar, encoding, lines
from preflight.data.readers.find import KNOWN, find_files, names, stable_name
from preflight.data.readers.rows import Broken, Row, caret, parse, shorten
from preflight.data.readers.source import Source, source_of

__all__ = ["Broken", "Row", "caret", "find_files", "names", "parse", "read", "shorten", "stable_name"]

READERS = {
    ".jsonl": lines.jsonl,
    ".json": array.json_list,
    ".csv": lines.table,
    ".parquet": columnar.parquet,
    ".arrow": columnar.arrow,
}
FIRST_LINE = 16 << 20  # bytes


def read(file: Path, name: str | None = None) -> Iterator[Row | Broken]:
    """Every row of a file, in order, and every place that isn't one.

    Args:
        file: A file as `find_files` gives it.
        name: What findings call it, of `names`; by default its name without its folder.
    """
    source = source_of(file, name)
    if source is None:
        yield Broken(name or file.name, None, f"{file.name} is not one of {KNOWN}")
        return
    last: Row | Broken | None = None
    try:
        with source.open() as stream:
            head = stream.read(4)
        if not head:
            yield Broken(source.name, None, "the file is empty")
        elif source.format in (".parquet", ".arrow"):
            yield from READERS[source.format](source)
        elif iconv := encoding.wide(head):
            yield encoding.foreign(source, None, f"not UTF-8: byte 0x{head[0]:02x}", iconv)
        else:
            for last in READERS[_written(source)](source):  # the last one is for the error
                yield last
    except OSError as error:
        beyond = f" beyond {last.where}" if last else ""
        yield Broken(source.name, None, f"can't be read{beyond}: {error.strerror or error}")


def _written(source: Source) -> str:
    """The format of a text file, which may be the other JSON format than its name says."""
    if source.format == ".csv":
        return source.format
    with source.open() as stream:
        first = stream.readline(FIRST_LINE).strip()
        if source.format == ".jsonl":
            return ".json" if first == b"[" or (first.startswith(b"[") and first.endswith(b",")) else ".jsonl"
        return ".jsonl" if first.startswith(b"{") and _is_object(first) and stream.read(2).strip() else ".json"


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False

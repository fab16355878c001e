"""Digests: what a clearance binds and prepared data is keyed by."""

import hashlib
import json
import string
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import xxhash

SPACE = string.whitespace.encode()
LOWER = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())


def of_file(path: Path) -> str:
    """sha256 of a file's bytes, read once as long as the file stays the same."""
    state = path.stat()
    return _of_bytes(path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _of_bytes(path: Path, *_state: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def of_text(text: str) -> int:
    """A 63-bit hash of a text, for finding equal ones: xxh3."""
    return _short(text.encode("utf-8", "surrogatepass"))


def of_words(text: str) -> int:
    """The same whatever its spaces and capitals are, and however its accents are composed."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return _short(plain.encode("utf-8", "surrogatepass").translate(LOWER, SPACE))


def _short(raw: bytes) -> int:
    return int(xxhash.xxh3_64_intdigest(raw)) >> 1


def of_json(value: Any) -> str:
    """sha256 of a value in one canonical spelling, so that comments and key order don't matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def of_files(paths: Iterable[Path]) -> str:
    """sha256 over names and contents of several files."""
    return of_json(sorted((path.name, of_file(path)) for path in paths))

"""Digests: what a clearance binds and prepared data is keyed by."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def of_file(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def of_json(value: Any) -> str:
    """sha256 of a value in one canonical spelling, so that comments and key order don't matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def of_files(paths: Iterable[Path]) -> str:
    """sha256 over names and contents of several files."""
    return of_json(sorted((path.name, of_file(path)) for path in paths))

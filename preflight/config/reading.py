"""A path to text: what can go wrong before there is any YAML."""

from __future__ import annotations

import codecs
from pathlib import Path

from .problems import ConfigError, Problem, nearest

MAX_BYTES = 256 * 1024

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def read_text(path: Path) -> str:
    """Read a config file as text.

    Raises:
        ConfigError: There is no such file, it is no file, can't be read, is too big for a config, or isn't UTF-8.
    """
    return _decode(path, _content(path))


def _content(path: Path) -> bytes:
    """Read the file. Raises ConfigError when there is none, it is no file, or is too big to be a config."""
    try:
        if path.is_dir():
            raise ConfigError([Problem(path, None, None, "", "is a folder, not a config file", _beside(path))])
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        message = f"no such file; looked for {path.absolute()}"
        raise ConfigError([Problem(path, None, None, "", message, _beside(path.parent, path.name))]) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise ConfigError([Problem(path, None, None, "", f"can't be read: {reason}")]) from None
    if len(content) > MAX_BYTES:
        raise ConfigError([Problem(path, None, None, "", f"is larger than {MAX_BYTES // 1024} KiB: not a config")])
    return content


def _beside(folder: Path, name: str = "") -> str | None:
    """Name the YAML files that are there, for someone who mistyped the name."""
    try:
        names = sorted(file.name for file in folder.iterdir() if file.suffix in {".yaml", ".yml"} and file.is_file())
    except (OSError, ValueError):
        return None
    near = nearest(name, names) or names[:3]
    return f"There is {', '.join(near)}" if near else None


def _decode(path: Path, content: bytes) -> str:
    """Decode. Raises ConfigError for any other encoding than UTF-8, naming it where it can be known."""
    # UTF-32's little-endian mark starts with UTF-16's, so the longer one is looked for first.
    encoding = next((name for bom, name in _BYTE_ORDER_MARKS.items() if content.startswith(bom)), None)
    if encoding is None and b"\x00" in content[:4]:
        encoding = "UTF-16 or UTF-32"
    if encoding:
        raise ConfigError([Problem(path, None, None, "", f"is encoded as {encoding}", "Save it as UTF-8")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]  # the byte order mark is not part of it
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        message = f"isn't UTF-8: byte 0x{error.object[error.start]:02x}, perhaps Windows-1252 or Latin-1"
        raise ConfigError([Problem(path, line, column, "", message, "Save it as UTF-8")]) from None

"""Texts on which the model should be what its base was: the user's `evaluation.general`, or the ones that we bring."""

from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from preflight.config import Config
from preflight.config.problems import nearest
from preflight.data import readers
from preflight.data.readers import Broken, Row
from preflight.findings import not_available

OWN = Path(__file__).with_name("general.jsonl")  # written for this project: no model has trained on it by intent
CHAT = "chat"


@dataclass(frozen=True)
class Text:
    """A passage to read, or a prompt to answer.

    Attributes:
        key: Its place: `general.jsonl:12`.
        kind: What it is, such as `code`; `chat` for a prompt.
        text: The passage, or what a user asks.
    """

    key: str
    kind: str
    text: str


def texts_of(config: Config) -> list[Text]:
    """All of them. What the user's files lack, passages or prompts, is ours.

    Raises:
        NotAvailable: a file can't be read, or has a row without text.
    """
    own, given = list(_rows(OWN, OWN.name)), list(_given(config))
    asked, read = ([text for text in given if (text.kind == CHAT) == chat] for chat in (True, False))
    asked = asked or [text for text in own if text.kind == CHAT]
    return (read or [text for text in own if text.kind != CHAT]) + asked


def _given(config: Config) -> Iterator[Text]:
    wanted = config.evaluation.general or []
    files: list[Path] = []
    for path in [wanted] if isinstance(wanted, str) else wanted:
        full = config.resolve(path)
        found = [full] if full.is_file() else [Path(match) for match in sorted(glob(str(full), recursive=True))]
        if not any(file.is_file() for file in found):
            not_available(f"evaluation.general: no file matches {path}")
        files += [file for file in found if file.is_file() and file not in files]
    for file, name in readers.names(files).items():
        yield from _paragraphs(file, name) if file.suffix == ".txt" else _rows(file, name)


def _rows(file: Path, name: str) -> Iterator[Text]:
    for row in readers.read(file, name):
        if isinstance(row, Broken):
            not_available(f"evaluation.general: {row.where}: {row.problem}")
        text = row.value.get("text")
        if not isinstance(text, str) or not text.strip():
            not_available(f"evaluation.general: {row.where}: {_lacking(row)}")
        yield Text(row.where, str(row.value.get("kind") or "text"), text)


def _lacking(row: Row) -> str:
    if "text" in row.value:
        return "text is empty, or no text"
    near = nearest("text", row.value)
    return f"no key text; rename {near[0]} to text" if near else f"no key text, but {', '.join(row.value) or 'none'}"


def _paragraphs(file: Path, name: str) -> Iterator[Text]:
    """What stands between blank lines, with the line it starts at."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        not_available(f"evaluation.general: {name}: not UTF-8 at byte {error.start}")
    except OSError as error:
        not_available(f"evaluation.general: {name}: can't be read: {error.strerror or error}")
    start, held = 0, list[str]()
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            start, held = start if held else number, [*held, line]
        elif held:
            yield Text(f"{name}:{start}", "text", "\n".join(held))
            held = []

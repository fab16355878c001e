"""Bytes to plain data: a YAML 1.2 file becomes dicts, lists and scalars, with the line and column of every key.

The file is composed to ruamel's node graph, and the plain data is built here, because a loader stops at its first
fault and keeps no position for scalars, while a config has to be judged whole. Nothing but the seven scalar kinds below
is ever constructed, so a tag such as ``!!python/object`` can only be a fault.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, DocumentStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.reader import ReaderError

from .problems import ConfigError, Key, Problem, dotted, shown
from .reading import read_text

MAX_DEPTH = 32
# The longest honest configs have a few hundred values; nine nested aliases of nine make 10^9.
MAX_VALUES = 20_000

_TAG = "tag:yaml.org,2002:"
_SCALARS = {_TAG + name for name in ("null", "bool", "int", "float", "str", "timestamp")}
_COLLECTIONS = {_TAG + "map", _TAG + "seq"}
_MERGE = _TAG + "merge"
_BAD_CHARACTER = re.compile("[\x00\ud800-\udfff]")

# What the parser says, and what it means for someone who doesn't know YAML's grammar.
_PLAIN_WORDS = {
    "found character '\\t'": "a tab stands where YAML wants spaces: indent with spaces only",
    "that cannot start any token": "text can't start with this character here: put it in quotes",
    "mapping values are not allowed here": "a `key: value` can't stand here: check the indentation of this line and "
    "the one before it, or put text that contains `: ` in quotes",
    "expected <block end>": "the indentation doesn't match the lines above",
    "could not find expected ':'": "a `:` is missing after the key",
    "found unexpected end of stream": "a quote is opened and never closed",
    "expected ',' or": "a bracket is opened and never closed, or a comma is missing",
    "found undefined alias": "an alias (`*name`) without its anchor (`&name`)",
    "but found another document": "a second document starts here (`---`): a config is one document",
}


@dataclass(frozen=True)
class Mark:
    """Where a key or a list item starts, both 1-based."""

    line: int
    column: int


@dataclass
class Document:
    """A parsed config file: plain data, the mark of every key, and the faults found on the way.

    ``refused`` names the keys whose values are left out because they have a problem already: nothing more is to be
    said about them.
    """

    path: Path
    data: dict[str, Any] = field(default_factory=dict)
    marks: dict[Key, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    refused: set[Key] = field(default_factory=set)

    def problem(self, key: Key, message: str, hint: str | None = None, mark: Mark | None = None) -> Problem:
        """Make a problem that points at a key, or at the nearest enclosing key that the file has."""
        near = (self.marks.get(key[:depth]) for depth in range(len(key), 0, -1))
        mark = mark or next((found for found in near if found), None)
        line, column = (mark.line, mark.column) if mark else (None, None)
        return Problem(self.path, line, column, dotted(key), message, hint)


def read_document(path: Path) -> Document:
    """Read and parse a config file.

    Returns:
        The document. Faults of single values (duplicate keys, NaN, tags, ...) are in ``problems`` and left out of
        ``data``, so that the rest can still be judged.

    Raises:
        ConfigError: The file can't be read, or isn't one YAML mapping.
    """
    document = Document(path)
    root = _compose(document, read_text(path))
    if not isinstance(root, MappingNode):
        kind = "a list" if root.tag == _TAG + "seq" else "a single value"
        raise ConfigError(
            [document.problem((), f"expected a mapping of sections at top level, got {kind}", mark=_mark(root))]
        )
    document.data = _Builder(document).build(root)
    return document


def _compose(document: Document, text: str) -> Node:
    """Parse to a node graph. Raises ConfigError when the text is no YAML, empty, or nested without end."""
    try:
        # The composer recurses, and its scanner slows down quadratically in open brackets, so that depth is judged on
        # the event stream first, which is lazy and stops where we do.
        _refuse_deep_nesting(document, text)
        root = YAML(typ="safe", pure=True).compose(text)
    except ConfigError:
        raise
    except MarkedYAMLError as error:
        said = str(error.problem)
        words = next((plain for part, plain in _PLAIN_WORDS.items() if part in said), said)
        mark = error.problem_mark and Mark(error.problem_mark.line + 1, error.problem_mark.column + 1)
        raise ConfigError([document.problem((), f"isn't valid YAML: {words}", mark=mark)]) from None
    except ReaderError as error:
        before = text[: error.position]
        mark = Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
        message = f"isn't valid YAML: it contains the character U+{ord(text[error.position]):04X}"
        raise ConfigError([document.problem((), message, mark=mark)]) from None
    except (YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # The parser itself crashes on some broken input; for its user that is broken input all the same.
        raise ConfigError([document.problem((), f"isn't valid YAML: {error}")]) from None
    if root is None or root.tag == _TAG + "null":
        raise ConfigError([document.problem((), "is empty", "`preflight init` writes a config to start from")])
    return root


def _refuse_deep_nesting(document: Document, text: str) -> None:
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ConfigError([document.problem((), f"is nested deeper than {MAX_DEPTH} levels", mark=_mark(event))])
        if isinstance(event, DocumentStartEvent) and event.version and tuple(event.version) != (1, 2):
            message = f"asks for YAML {'.'.join(map(str, event.version))}; configs are YAML 1.2"
            raise ConfigError([document.problem((), message, "Remove the %YAML line", _mark(event))])


def _mark(thing: Any) -> Mark:
    return Mark(thing.start_mark.line + 1, thing.start_mark.column + 1)


class _Refused(Exception):
    """A value that is left out of the data because it has its own problem already."""


class _Builder:
    """Builds plain data from nodes. One object a file: it counts values and knows which nodes are open."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.values = 0
        self.open: set[int] = set()
        self.scalars = YAML(typ="safe", pure=True).constructor

    def build(self, root: MappingNode) -> dict[str, Any]:
        return self._mapping(root, ())

    def refuse(self, key: Key, message: str, hint: str | None = None, mark: Mark | None = None) -> _Refused:
        self.document.problems.append(self.document.problem(key, message, hint, mark))
        self.document.refused.add(key)
        return _Refused()

    def _value(self, node: Node, key: Key) -> Any:
        """Build one value. Raises _Refused after noting its problem, ConfigError when aliases explode."""
        self.values += 1
        if self.values > MAX_VALUES:
            message = f"has more than {MAX_VALUES} values once its aliases are followed"
            raise ConfigError([self.document.problem((), message, mark=_mark(node))])
        if id(node) in self.open:
            raise self.refuse(key, "an alias (`*name`) stands inside its own anchor (`&name`)")
        tag = str(node.tag)
        if tag not in _SCALARS | _COLLECTIONS:
            raise self.refuse(key, f"the tag {tag.replace(_TAG, '!!')} is not read", "Write a plain value")
        if isinstance(node, ScalarNode):
            return self._scalar(node, key)
        self.open.add(id(node))
        try:
            return self._mapping(node, key) if isinstance(node, MappingNode) else self._sequence(node, key)
        finally:
            self.open.discard(id(node))

    def _scalar(self, node: ScalarNode, key: Key) -> Any:
        if node.style is None and node.value == "None":
            raise self.refuse(key, "None is the text 'None' in YAML", "Write null, or leave the key out")
        try:
            value = self.scalars.construct_object(node, deep=True)
        except Exception:  # each scalar kind raises its own (ValueError, KeyError, ...)
            kind = str(node.tag).removeprefix(_TAG).replace("timestamp", "date")
            raise self.refuse(key, f"reads as {kind}, but isn't a possible one", "Put text in quotes") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise self.refuse(key, f"expected a finite number, got {node.value}")
        if isinstance(value, str) and _BAD_CHARACTER.search(value):
            raise self.refuse(key, "contains a character that no text may have (NUL or half of a surrogate pair)")
        return value

    def _sequence(self, node: Any, key: Key) -> list[Any]:
        items: list[Any] = []
        for item in node.value:
            place = (*key, len(items))
            self.document.marks[place] = _mark(item)
            try:
                items.append(self._value(item, place))
            except _Refused:
                items.append(None)
        return items

    def _mapping(self, node: MappingNode, key: Key) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        first: dict[str, Mark] = {}
        # Merges first: a key of the mapping itself wins, with its own mark, wherever the `<<` stands.
        for name_node, value_node in sorted(node.value, key=lambda pair: str(pair[0].tag) != _MERGE):
            mark = _mark(name_node)
            if name_node.tag == _MERGE:
                merged = self._merge(value_node, key, mark) | merged
                continue
            name = name_node.value
            if name_node.tag != _TAG + "str" or _BAD_CHARACTER.search(name):
                what = name_node.value if isinstance(name_node, ScalarNode) else "made of a list or a mapping"
                self.document.problems.append(
                    self.document.problem(key, f"the key {shown(what)} isn't text", "Put it in quotes", mark)
                )
                continue
            place = (*key, name)
            if name in first:
                message = f"the key is here twice: lines {first[name].line} and {mark.line}"
                self.document.problems.append(self.document.problem(place, message, mark=mark))
                continue
            first[name] = self.document.marks[place] = mark
            try:
                own[name] = self._value(value_node, place)
            except _Refused:
                continue
        return merged | own

    def _merge(self, node: Any, key: Key, mark: Mark) -> dict[str, Any]:
        """Follow ``<<: *base`` or ``<<: [*a, *b]``, where the earlier base wins."""
        bases = node.value if node.tag == _TAG + "seq" else [node]
        merged: dict[str, Any] = {}
        for base in bases:
            try:
                value = self._value(base, key)
            except _Refused:
                continue
            if not isinstance(value, dict):
                self.refuse(key, "`<<` merges mappings only", mark=mark)
                continue
            merged = value | merged
        return merged

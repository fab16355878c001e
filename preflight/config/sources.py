"""A class's fields, read from the source of an installed distribution without importing any of it.

A class is found where it is defined, through re-exports and lazy packages' ``if TYPE_CHECKING`` imports, and its base
classes likewise. An annotation becomes a type that pydantic can check; what isn't understood becomes Any.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Required, Union

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

COMPUTED: Any = object()

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_BUILTINS: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool, "Any": Any, "None": None}
_BUILTINS |= {"dict": dict[str, Any], "list": list[Any], "Dict": dict[str, Any], "List": list[Any]}


@dataclass(frozen=True)
class LibraryField:
    """A field of a library's config class: its name, a type that pydantic can check, its default or COMPUTED."""

    name: str
    type: Any
    default: Any


def fields_of(module_name: str, public: str, class_name: str) -> list[LibraryField]:
    """Return the fields of a dataclass, or the parameters of ``__init__`` where a class writes its own.

    Args:
        module_name: Where the class is known to live.
        public: The package that exports it: asked, by importing it, if a version has moved the class.
        class_name: The class.

    Raises:
        ModuleNotFoundError: The distribution isn't installed.
    """
    found = _find(module_name, class_name) or _find(_home_by_import(public, class_name), class_name)
    if found is None:
        raise ModuleNotFoundError(f"the installed {public} has no source of {class_name}", name=public)
    module, definition = found
    # A class that writes its own `__init__` is called by that, dataclass or not (BitsAndBytesConfig is both).
    init = next((it for it in definition.body if isinstance(it, ast.FunctionDef) and it.name == "__init__"), None)
    return _signature(init) if init else _dataclass(module, definition)


def typed_dict(name: str, types: Mapping[str, Any], required: Collection[str] = ()) -> Any:
    """Make a strict TypedDict of these keys, all of them optional but the required ones."""
    # TypedDict rather than a model: field names are free (a model has methods they could shadow), and the checked
    # value is a plain dict of just what the user wrote.
    make: Any = TypedDict
    members = {key: Required[kind] if key in required else NotRequired[kind] for key, kind in types.items()}
    return with_config(_STRICT)(make(name, members))


@dataclass(frozen=True)
class _Module:
    """A parsed source file: its dotted name (a package's is its own) and what it defines or imports, by name."""

    package: str
    classes: Mapping[str, ast.ClassDef]
    imports: Mapping[str, tuple[str, str]]


@cache
def _module(name: str) -> _Module | None:
    """Parse a module of an installed distribution, without importing it or any of its packages."""
    top, *inner = name.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return None
    base = Path(spec.submodule_search_locations[0]).joinpath(*inner)
    is_package = base.is_dir()
    source = base / "__init__.py" if is_package else base.with_suffix(".py")
    if not source.is_file():
        return None
    package = name if is_package else name.rpartition(".")[0]
    classes: dict[str, ast.ClassDef] = {}
    imports: dict[str, tuple[str, str]] = {}
    for node in _statements(ast.parse(source.read_bytes()).body):
        if isinstance(node, ast.ClassDef):
            classes[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: -(node.level - 1) or None] if node.level else []
            origin = ".".join([*parts, *filter(None, [node.module])])
            imports |= {alias.asname or alias.name: (origin, alias.name) for alias in node.names}
    return _Module(package, classes, imports)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield a module's statements, with those inside ``if`` and ``try``: lazy packages keep their imports there."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _statements([*node.body, *node.orelse])


def _find(module_name: str, class_name: str) -> tuple[_Module, ast.ClassDef] | None:
    """Find a class where it is defined, following re-exports; None when the sources don't tell."""
    seen = set()
    while (module_name, class_name) not in seen and (module := _module(module_name)):
        if definition := module.classes.get(class_name):
            return module, definition
        seen.add((module_name, class_name))
        module_name, class_name = module.imports.get(class_name, ("", ""))
    return None


def _home_by_import(public: str, class_name: str) -> str:
    """Ask the library itself where a class lives, for versions that moved it. Slow, and needed for none we tried."""
    return str(getattr(getattr(importlib.import_module(public), class_name, None), "__module__", ""))


# --- from a class to its fields --------------------------------------------------------------------------------------


def _dataclass(module: _Module, definition: ast.ClassDef) -> list[LibraryField]:
    """Return a dataclass's fields, base classes first; a field defined again replaces the inherited one."""
    found: dict[str, LibraryField] = {}
    for base in definition.bases:
        if isinstance(base, ast.Name) and (home := _lookup(module, base.id)):
            found |= {field.name: field for field in _dataclass(*home)}
    if _is_dataclass(definition):
        for node in definition.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and _settable(node):
                kind = _with_metadata(_type(module, node.annotation), node.value)
                found[node.target.id] = LibraryField(node.target.id, kind, _field_default(node.value))
    return list(found.values())


def _is_dataclass(definition: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in definition.decorator_list)


def _lookup(module: _Module, name: str) -> tuple[_Module, ast.ClassDef] | None:
    if definition := module.classes.get(name):
        return module, definition
    return _find(*module.imports[name]) if name in module.imports else None


def _settable(node: ast.AnnAssign) -> bool:
    init = _keywords(node.value).get("init")
    fixed = isinstance(init, ast.Constant) and init.value is False
    return not fixed and "ClassVar" not in ast.unparse(node.annotation)


def _keywords(node: ast.expr | None) -> dict[str, ast.expr]:
    return {word.arg: word.value for word in node.keywords if word.arg} if isinstance(node, ast.Call) else {}


def _literal(node: ast.expr | None) -> Any:
    try:
        return ast.literal_eval(node) if node is not None else COMPUTED
    except ValueError:
        return COMPUTED


def _field_default(node: ast.expr | None) -> Any:
    words = _keywords(node)
    if factory := words.get("default_factory"):
        return {"dict": {}, "list": []}.get(ast.unparse(factory), COMPUTED)
    return _literal(words.get("default", node))


def _with_metadata(kind: Any, node: ast.expr | None) -> Any:
    """Narrow text to the ``choices`` of a field's metadata; widen by ``const: True``, a bare command-line flag."""
    metadata = _keywords(node).get("metadata")
    if isinstance(metadata, ast.Dict):
        entries = {_literal(key): _literal(value) for key, value in zip(metadata.keys, metadata.values, strict=True)}
        if isinstance(choices := entries.get("choices"), list):
            narrowed = {str: Literal[tuple(choices)], str | None: Literal[tuple(choices)] | None}
            return narrowed.get(kind, kind)
        if entries.get("const") is True:
            return Union[kind, bool]  # noqa: UP007  (built at run time)
    return kind


def _signature(init: ast.FunctionDef) -> list[LibraryField]:
    """Return the parameters of an ``__init__`` that has no annotations: a type is known by its default."""
    names = [argument.arg for argument in init.args.args[1:]]
    defaults = [_literal(node) for node in init.args.defaults]
    known = (bool, int, float, str)
    return [
        LibraryField(name, type(value) if isinstance(value, known) else Any, value)
        for name, value in zip(names, [COMPUTED] * (len(names) - len(defaults)) + defaults, strict=True)
    ]


# --- from an annotation to a type ------------------------------------------------------------------------------------


def _type(module: _Module, node: ast.expr) -> Any:
    """Turn an annotation into a type that pydantic can check; Any for what it doesn't know."""
    kind: Any = Any
    match node:
        case ast.Constant(value=None):
            kind = None
        case ast.Constant(value=str(quoted)):
            kind = _type(module, ast.parse(quoted, mode="eval").body)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            kind = _union(module, [left, right])
        case ast.Subscript(value=ast.Name(id=outer), slice=inner):
            kind = _generic(module, outer.lower(), inner.elts if isinstance(inner, ast.Tuple) else [inner])
        case ast.Name(id=name) if name in _BUILTINS:
            kind = _BUILTINS[name]
        case ast.Name(id=name) if home := _lookup(module, name):
            kind = _class_type(*home)
    return kind


def _generic(module: _Module, outer: str, arguments: list[ast.expr]) -> Any:
    kind: Any = Any
    if outer in {"optional", "union"}:
        kind = _union(module, arguments + [ast.Constant(None)] * (outer == "optional"))
    elif outer == "literal":
        kind = _choices([_literal(argument) for argument in arguments])
    elif outer in {"list", "set", "sequence", "tuple"}:  # YAML has lists only
        item: Any = _type(module, arguments[0])
        length = len(arguments) if outer == "tuple" else None
        kind = Annotated[list[item], Field(min_length=length, max_length=length)] if length else list[item]
    elif outer in {"dict", "mapping"}:
        value: Any = _type(module, arguments[1])
        kind = dict[str, value]
    return kind


def _union(module: _Module, nodes: list[ast.expr]) -> Any:
    """Join types. Beside an enum or a dataclass, ``str`` or ``dict`` is only its plain form, so it is dropped."""
    kinds = [_type(module, node) for node in nodes]
    if Any in kinds:
        return Any
    homes = [_lookup(module, node.id) for node in nodes if isinstance(node, ast.Name) and node.id not in _BUILTINS]
    plain = {"str": str, "dict": dict[str, Any]}
    for _, definition in filter(None, homes):
        drop = plain["str" if _is_enum(definition) else "dict"]
        kinds = [kind for kind in kinds if kind != drop]
    return Union[tuple(kinds)]  # noqa: UP007  (built at run time)


def _is_enum(definition: ast.ClassDef) -> bool:
    return any("Enum" in ast.unparse(base) for base in definition.bases)


def _class_type(module: _Module, definition: ast.ClassDef) -> Any:
    if _is_enum(definition):
        values = [_literal(node.value) for node in definition.body if isinstance(node, ast.Assign)]
        return _choices([value for value in values if value is not COMPUTED])
    inner = _dataclass(module, definition)
    return typed_dict(definition.name, {field.name: field.type for field in inner}) if inner else Any


def _choices(values: list[Any]) -> Any:
    """Make a Literal. A choice such as ``pissa_niter_[number of iters]`` stands for any number in its place."""
    patterns = [value for value in values if isinstance(value, str) and value.endswith("]")]
    plain = [value for value in values if value not in patterns]
    kinds = [Annotated[str, Field(pattern=rf"^{value.partition('[')[0]}\d+$")] for value in patterns]
    return Union[(Literal[tuple(plain)], *kinds)]

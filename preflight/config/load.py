"""Load a config: read, rename, validate everything at once, and say each fault in the user's own words."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from . import libraries
from .document import Document, read_document
from .evaluation import Evaluation
from .model import Config, Section
from .problems import ConfigError, Key, Problem, did_you_mean, dotted, shown
from .renames import apply_renames
from .sections import Data, Deployment, Gate, Hardware, Model, Task, Text
from .sources import typed_dict
from .wording import at, members, refusal

_FEW = 12
_MAX_UNKNOWN = 50
_MAX_FOREIGN = 5
_FOREIGN_ENOUGH = 2
_FOREIGN = {
    "axolotl": {
        "base_model",
        "datasets",
        "adapter",
        "sequence_len",
        "micro_batch_size",
        "sample_packing",
        "val_set_size",
    },
    "LLaMA-Factory": {
        "model_name_or_path",
        "stage",
        "finetuning_type",
        "template",
        "cutoff_len",
        "dataset",
        "lora_target",
    },
}


def load_config(path: str | Path) -> Config:
    """Read a config file and validate all of it against the installed libraries.

    Args:
        path: The YAML file.

    Returns:
        The config, frozen. Old names that were accepted are in its ``renamed``.

    Raises:
        ConfigError: The file can't be read or isn't valid; it holds every fault at once.
    """
    path = Path(path)
    document = read_document(path)
    try:
        notices = apply_renames(document, lambda section: members(file_members()[section]))
        adapter = TypeAdapter(file_type())
    except ImportError as error:
        raise ConfigError([Problem(path, None, None, "", f"can't be judged here: {error}")]) from None
    try:
        values = adapter.validate_python(document.data)
    except ValidationError as error:
        document.problems += _problems(document, error.errors(include_url=False, include_context=False))
    if document.problems:
        raise ConfigError(document.problems)
    return _config(document, values, notices)


@cache
def file_type() -> Any:
    """Return the type of a whole config file: our sections beside the installed libraries' own fields."""
    section = libraries.section_type
    sections: dict[str, Any] = {
        "name": Text,
        "task": Task | None,
        "model": Model,
        "data": Data,
        "lora": section("lora"),
        "quantization": section("quantization"),
        "training": section("training"),
        "hardware": Hardware | None,
        "gate": Gate | None,
        "evaluation": Evaluation | None,
        "deployment": Deployment | None,
    }
    return typed_dict("config", sections, {"model", "data", "training"})


def _config(document: Document, values: dict[str, Any], notices: list[Problem]) -> Config:
    sections: dict[str, Any] = {name: values.get(name) for name in Config.model_fields if name in file_members()}
    for name in libraries.SOURCES:
        sections[name] = None if sections[name] is None else Section(sections[name])
    # Our own sections that are absent, or empty (all their keys commented out), have their defaults.
    defaults: dict[str, Any] = {
        "task": Task(),
        "hardware": Hardware(),
        "gate": Gate(),
        "evaluation": Evaluation(),
        "deployment": Deployment(),
        "name": Path(values["training"]["output_dir"]).name or "run",
    }
    sections |= {name: value for name, value in defaults.items() if sections[name] is None}
    config = Config(**sections, path=document.path.absolute(), renamed=sorted(notices, key=lambda it: it.line or 0))
    config._marks = {dotted(key).replace("[", ".").replace("]", ""): mark for key, mark in document.marks.items()}
    return config


def file_members() -> Mapping[str, Any]:
    """Return the top-level keys of a config file."""
    return members(file_type())


# --- saying what pydantic found --------------------------------------------------------------------------------------


def _problems(document: Document, errors: list[ErrorDetails]) -> list[Problem]:
    by_key: dict[Key, list[ErrorDetails]] = {}
    for error in errors:
        by_key.setdefault(_key(document.data, error), []).append(error)
    # Where a union is refused, each member says why; the one that got deepest into the value is the one meant.
    above = {key[:depth] for key in by_key for depth in range(len(key))}
    meant = [key for key in by_key if key not in above]
    quiet = document.refused
    found = [key for key in meant if not any(key[:depth] in quiet for depth in range(len(key) + 1))]
    unknown = [key for key in found if by_key[key][0]["type"] == "extra_forbidden"]
    problems = [_problem(document, key, by_key[key]) for key in found if key not in unknown]
    return problems + _unknown(document, unknown)


def _key(data: Any, error: ErrorDetails) -> Key:
    """Reduce pydantic's location to the keys of the file: it also names the members of unions that it tried."""
    key: list[str | int] = []
    for part in error["loc"]:
        inside = part in data if isinstance(data, dict) else isinstance(data, list) and part in range(len(data))
        if inside:
            key.append(part)
            data = data[part]
    return (*key, error["loc"][-1]) if error["type"] == "missing" else tuple(key)


def _problem(document: Document, key: Key, errors: list[ErrorDetails]) -> Problem:
    if errors[0]["type"] == "missing":
        return document.problem(key, "is missing", "This key is required")
    value: Any = document.data
    for part in key:
        value = value[part]
    if "[key]" in errors[0]["loc"]:
        return document.problem(key, f"expected a check's code such as DATA-104, got {shown(key[-1])}")
    if key in {("lora",), ("quantization",)} and value is None:
        without = "full fine-tuning" if key == ("lora",) else "no quantization"
        return document.problem(key, "is empty", f"Write {{}} for the defaults, or remove it for {without}")
    message, hint = refusal(at(file_type(), key), value, errors)
    return document.problem(key, message, hint)


def _unknown(document: Document, keys: list[Key]) -> list[Problem]:
    """Report unknown keys, each with the nearest valid ones; fewer of them when the file is another tool's."""
    top_level = {key[0] for key in keys if len(key) == 1}
    likeness = {tool: len(top_level & names) for tool, names in _FOREIGN.items()}
    tool = max(likeness, key=lambda name: likeness[name])
    foreign = likeness[tool] >= _FOREIGN_ENOUGH
    listed = _MAX_FOREIGN if foreign else _MAX_UNKNOWN
    problems = [document.problem(key, "unknown key", _unknown_hint(key)) for key in keys[:listed]]
    if len(keys) > listed:
        problems.append(document.problem((), f"{len(keys) - listed} more unknown keys are not listed"))
    if foreign:
        message = f"looks like a config of {tool}: importing those isn't supported yet"
        problems.append(document.problem((), message, "`preflight init` writes a config to start from"))
    return problems


def _unknown_hint(key: Key) -> str | None:
    *above, last = key
    name = str(last)
    valid = members(at(file_type(), tuple(above)))
    elsewhere = [section for section, kind in file_members().items() if name in members(kind)]
    if elsewhere and len(above) < 2:  # at top level or directly in a section
        return f"It belongs in the section {elsewhere[0]}"
    if hint := did_you_mean(name, valid):
        return hint
    return f"Valid keys: {', '.join(valid)}" if len(valid) <= _FEW else None

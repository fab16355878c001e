"""The loaded config: frozen, with the user's values, the libraries' defaults, and the line of every key."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr

from . import derived, libraries
from .document import Mark
from .evaluation import Evaluation
from .problems import Problem
from .sections import Data, Deployment, Gate, Hardware, Model, Task

STAGES = ("preflight", "flight", "postflight")
SECRETS = {"hub_token", "push_to_hub_token"}  # never in a report, a clearance or a run card
OWN_SECTIONS = ("task", "model", "data", "hardware", "gate", "evaluation", "deployment")


class Section(Mapping[str, Any]):
    """A library's section as the user wrote it: a frozen mapping of the keys given, with attribute access.

    ``section["r"]``, ``section.get("r")`` and ``section.r`` read a given key; ``LoraConfig(**section)`` works. Values
    that could be changed are handed out as copies.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_values", dict(values))

    def __getitem__(self, key: str) -> Any:
        return copy.deepcopy(self._values[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"the config doesn't set {name!r}")
        return self[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a config is frozen")

    def __reduce__(self) -> tuple[type[Section], tuple[dict[str, Any]]]:
        return (Section, (self._values,))

    def __repr__(self) -> str:
        return f"Section({self._values!r})"


class Config(BaseModel):
    """A config file that was found valid. Made by :func:`preflight.config.load_config`.

    Attributes:
        name: The run's name; without one, the last part of ``training.output_dir``.
        lora: None means full fine-tuning.
        quantization: None means none.
        path: The file, absolute.
        renamed: Notices about old names that were accepted under their replacement.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, protected_namespaces=())

    name: str
    task: Task
    model: Model
    data: Data
    lora: Section | None
    quantization: Section | None
    training: Section
    hardware: Hardware
    gate: Gate
    evaluation: Evaluation
    deployment: Deployment
    path: Path
    renamed: list[Problem] = []

    _marks: Mapping[str, Mark] = PrivateAttr(default_factory=dict)
    _artefacts: Path | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Path:
        """The folder of the config file, which paths are relative to."""
        return self.path.parent

    def resolve(self, path: str | Path) -> Path:
        """Return a path of the config as an absolute one: relative to the config's folder, ``~`` expanded."""
        # os.path's expanduser leaves `~nobody` as it is, where pathlib's raises.
        return Path(os.path.normpath(self.folder / os.path.expanduser(path)))

    @property
    def output_dir(self) -> Path:
        """``training.output_dir``, absolute."""
        return self.resolve(self.training["output_dir"])

    def artefacts(self, stage: str) -> Path:
        """Return the folder that a stage's artefacts go to. Nothing is created.

        Raises:
            ValueError: The stage is none of ``preflight``, ``flight`` and ``postflight``.
        """
        if stage not in STAGES:
            raise ValueError(f"no such stage: {stage!r}")
        return (self._artefacts or self.output_dir) / stage

    def with_artefacts(self, folder: str | Path) -> Self:
        """Return this config with the artefacts of all stages moved below a folder (``--preflight-output``)."""
        moved = self.model_copy()
        moved._artefacts = Path(folder).expanduser().absolute()
        return moved

    def on_this_machine(self) -> Self:
        """Return this config with this machine in the place of the one that ``hardware`` describes."""
        return self.model_copy(update={"hardware": Hardware(target="local")})

    def training_value(self, name: str) -> Any:
        """Return what TRL will use for a field of ``training``: the user's value, or SFTConfig's own default.

        Defaults that follow from other fields are derived here too. SFTConfig's own: ``bf16`` (on unless ``fp16`` is),
        and ``activation_checkpointing`` with its old alias ``gradient_checkpointing``, which mirror each other. And
        ours: a run that is evaluated keeps its best checkpoint (``derived.py``).

        Raises:
            KeyError: SFTConfig has no such field.
        """
        if name == "bf16" and self._value("training", name) is None:
            return not self._value("training", "fp16")
        base, found, rest = name.partition("_checkpointing")
        if found and base in {"activation", "gradient"} and name in libraries.fields("training"):
            new = self._value("training", f"activation_checkpointing{rest}", missing=None)
            return self._value("training", f"gradient_checkpointing{rest}") if new is None else new
        if name in derived.NAMES and self.training.get(name) is None:
            return derived.derived(self).get(name, self._value("training", name))
        return self._value("training", name)

    def lora_value(self, name: str) -> Any:
        """Return the user's value of a field of ``lora``, or LoraConfig's own default. KeyError as above."""
        return self._value("lora", name)

    def quantization_value(self, name: str) -> Any:
        """Return the user's value of a field of ``quantization``, or BitsAndBytesConfig's own. KeyError as above."""
        return self._value("quantization", name)

    def _value(self, section: str, name: str, **missing: Any) -> Any:
        given: Mapping[str, Any] = getattr(self, section) or {}
        if name in given:
            return given[name]
        if missing and name not in libraries.fields(section):
            return missing["missing"]
        return copy.deepcopy(libraries.default(section, name))

    def judged(self, stage: str) -> dict[str, Any]:
        """`resolved()` as far as a stage judges it: how the model will be evaluated is nothing to those before."""
        return {name: value for name, value in self.resolved().items() if name != "evaluation" or stage == "postflight"}

    def resolved(self) -> dict[str, Any]:
        """Return what was configured as canonical JSON-able data, for digests and diffs.

        Our sections come with their defaults; library sections hold the keys given, under their present names. Where
        the file lies, how it is written and which old names it uses make no difference.
        """
        libraries_given: dict[str, Any] = {
            section: None if values is None else _jsonable(dict(values))
            for section, values in (
                ("lora", self.lora),
                ("quantization", self.quantization),
                ("training", self.training),
            )
        }
        for name in SECRETS & (libraries_given["training"] or {}).keys():
            libraries_given["training"][name] = "(hidden)"
        own = {section: getattr(self, section).model_dump(mode="json") for section in OWN_SECTIONS}
        return {"name": self.name, **own, **libraries_given}

    def line_of(self, key: str) -> int | None:
        """Return the line of a dotted key (``training.learning_rate``, ``gate.waivers[0].code``), None if not given."""
        mark = self._marks.get(_plain(key))
        return mark.line if mark else None

    def where(self, key: str) -> str:
        """Return ``config.yaml:LINE`` for a finding: the key's line, else its section's, else just the file."""
        parts = _plain(key).split(".")
        marks = (self._marks.get(".".join(parts[:depth])) for depth in range(len(parts), 0, -1))
        mark = next((found for found in marks if found), None)
        return f"{self.path.name}:{mark.line}" if mark else self.path.name


def _plain(key: str) -> str:
    return key.replace("[", ".").replace("]", "")


def _jsonable(value: Any) -> Any:
    """Library values are YAML's own; the one kind that JSON lacks is a date inside a free mapping."""
    match value:
        case dict():
            return {key: _jsonable(item) for key, item in value.items()}
        case list():
            return [_jsonable(item) for item in value]
        case str() | bool() | int() | float() | None:
            return value
    return value.isoformat()

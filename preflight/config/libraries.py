"""The fields that the installed peft, transformers and TRL know: their names, types and defaults.

Read from the libraries' *sources*, without importing them. Importing TRL and peft takes about five seconds (torch comes
with them), which is no price for hearing of a misspelt key; reading the sources takes a tenth of one. The sources are
as reliable as the classes, since all three are plain dataclasses or signatures: a class is followed through its bases
and re-exports wherever they live, what isn't understood is accepted as any value, a default that has to be computed is
taken from the imported class when someone asks for it, and the tests compare every field with the real classes.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import MISSING
from dataclasses import fields as dataclass_fields
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, Union

from pydantic import Field

from .sources import COMPUTED, LibraryField, fields_of, typed_dict

SOURCES = {
    "lora": ("peft.tuners.lora.config", "peft", "LoraConfig"),
    "quantization": ("transformers.utils.quantization_config", "transformers", "BitsAndBytesConfig"),
    "training": ("trl.trainer.sft_config", "trl", "SFTConfig"),
}

_DTYPES = ("bfloat16", "float16", "float32", "float64")
_LOG_LEVELS = ("detail", "debug", "info", "warning", "error", "critical", "passive")

# What the sources don't say, or say wrongly.
_TYPES: dict[tuple[str, str], Any] = {
    ("lora", "peft_type"): Literal["LORA"] | None,
    ("lora", "runtime_config"): None,  # peft wants an object here and makes none from a mapping
    ("quantization", "llm_int8_skip_modules"): list[str] | None,
    ("quantization", "bnb_4bit_quant_type"): Literal["nf4", "fp4"],
    ("quantization", "bnb_4bit_compute_dtype"): Literal[_DTYPES] | None,
    ("quantization", "bnb_4bit_quant_storage"): Literal["uint8", "int8", *_DTYPES] | None,
    ("training", "output_dir"): Annotated[str, Field(min_length=1)],  # the artefacts of the gate go there
    ("training", "parallelism_config"): None,  # as runtime_config
    ("training", "log_level"): Literal[_LOG_LEVELS],
    ("training", "log_level_replica"): Literal[_LOG_LEVELS],
    ("training", "include_num_input_tokens_seen"): bool | Literal["all", "non_padding", "no"],
}
# peft initialises with it, and leaves it out of its own annotation.
_MORE_CHOICES = {("lora", "init_lora_weights"): Literal["lora_ga"]}
_REQUIRED = {("training", "output_dir")}


@cache
def fields(section: str) -> Mapping[str, LibraryField]:
    """Return the fields of a library section (``lora``, ``quantization`` or ``training``), by name.

    Raises:
        ModuleNotFoundError: The library isn't installed.
    """
    found = fields_of(*SOURCES[section])
    table = {field.name: LibraryField(field.name, _amended(section, field), field.default) for field in found}
    return MappingProxyType(table)


@cache
def section_type(section: str) -> Any:
    """Return a library section's fields as a strict TypedDict: pydantic checks it and keeps just the keys given."""
    required = {name for owner, name in _REQUIRED if owner == section}
    return typed_dict(section, {field.name: field.type for field in fields(section).values()}, required)


def default(section: str, name: str) -> Any:
    """Return the library's own default of a field; one that is computed is read from the imported class.

    Raises:
        KeyError: The library has no such field.
    """
    field = fields(section)[name]
    if field.default is not COMPUTED:
        return field.default
    _, public, class_name = SOURCES[section]
    real = {real.name: real for real in dataclass_fields(getattr(importlib.import_module(public), class_name))}[name]
    return real.default if real.default_factory is MISSING else real.default_factory()


def _amended(section: str, field: LibraryField) -> Any:
    kind = _TYPES.get((section, field.name), field.type)
    more = _MORE_CHOICES.get((section, field.name))
    return kind if more is None else Union[kind, more]  # noqa: UP007  (built at run time)

"""The field tables read from sources agree with the classes that Python builds from them."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from preflight.config import Config, libraries, load_config

# How many fields the installed versions have: a table that loses some must not pass.
COUNTS = {"lora": 36, "quantization": 10, "training": 135}


def real_defaults(section: str) -> dict[str, Any]:
    """Return the real class's fields and defaults, by importing it."""
    import peft
    import transformers
    import trl

    if section == "quantization":
        parameters = list(inspect.signature(transformers.BitsAndBytesConfig.__init__).parameters.values())[1:]
        return {it.name: it.default for it in parameters if it.kind is not it.VAR_KEYWORD}
    fields = [it for it in dataclasses.fields({"lora": peft.LoraConfig, "training": trl.SFTConfig}[section]) if it.init]
    return {it.name: it.default if it.default_factory is dataclasses.MISSING else it.default_factory() for it in fields}


@pytest.mark.parametrize("section", COUNTS)
def test_names_and_defaults_are_the_librarys_own(section: str) -> None:
    real = real_defaults(section)

    assert set(real) == set(libraries.fields(section))
    assert real == {name: libraries.default(section, name) for name in real}
    assert COUNTS[section] <= len(real)


@pytest.mark.parametrize("section", COUNTS)
def test_every_field_is_accepted_with_its_own_default(section: str, tmp_path: Path) -> None:
    tried = {}
    for name, value in real_defaults(section).items():
        try:
            tried[name] = json.loads(json.dumps(value))
        except TypeError:
            assert name == "runtime_config"
    config: dict[str, Any] = {"model": {"name_or_path": "m"}, "data": {"train": "t"}, "training": {}}
    config[section] = tried
    config["training"]["output_dir"] = "o"
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML

    loaded = getattr(load_config(path), section)

    assert tried | ({"output_dir": "o"} if section == "training" else {}) == dict(loaded)
    assert COUNTS[section] - 1 <= len(tried)


def test_few_types_are_unknown() -> None:
    """`Any` means that an annotation was not understood: none is among the installed versions' fields."""
    unknown = [name for section in COUNTS for name, field in libraries.fields(section).items() if field.type is Any]

    assert unknown == []


def test_choices_are_those_of_the_librarys_enums() -> None:
    from transformers.trainer_utils import SaveStrategy, SchedulerType
    from transformers.training_args import OptimizerNames

    for name, enum in {
        "lr_scheduler_type": SchedulerType,
        "optim": OptimizerNames,
        "save_strategy": SaveStrategy,
    }.items():
        assert [member.value for member in enum] == list(libraries.fields("training")[name].type.__args__)


def test_a_moved_class_is_found_by_importing(monkeypatch: pytest.MonkeyPatch) -> None:
    from preflight.config.sources import fields_of

    moved = fields_of("peft.nowhere", "peft", "LoraConfig")

    assert {field.name for field in moved} == set(libraries.fields("lora"))


def test_the_libraries_accept_what_we_accept(load: Callable[[str], Config]) -> None:
    """The sections can be handed to the real classes as they are."""
    import peft
    import transformers
    import trl

    config = load(
        "model: {name_or_path: m}\n"
        "data: {train: t}\n"
        "lora: {r: 4, target_modules: [q_proj], layer_replication: [[0, 2]], init_lora_weights: gaussian,"
        " alpha_pattern: {a: 3}, velora_config: {num_groups: 2}}\n"
        "quantization: {load_in_8bit: true, llm_int8_threshold: 5, llm_int8_skip_modules: [lm_head]}\n"
        "training: {output_dir: o, use_cpu: true, bf16: false, warmup_steps: 10, save_steps: 5, optim: sgd,"
        " fsdp: false, save_strategy: no, debug: underflow_overflow}\n"
    )

    assert peft.LoraConfig(**(config.lora or {})).r == 4
    assert transformers.BitsAndBytesConfig(**(config.quantization or {})).llm_int8_threshold == 5.0
    assert trl.SFTConfig(**config.training).get_warmup_steps(100) == 10

"""Old names: accepted with a notice where the meaning is the same, refused with the replacement where it isn't."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from preflight.config import Config, Problem
from preflight.config.load import file_members
from preflight.config.renames import OLD_NAMES, Instead, Now
from preflight.config.wording import members

BASE = {"model": {"name_or_path": "m"}, "data": {"train": "t"}, "training": {"output_dir": "o"}}


def text(section: str, **keys: str) -> str:
    """Render a valid config with keys added to one section, a key a line."""
    sections = {name: dict(values) for name, values in BASE.items()}
    for key, value in keys.items():
        sections.setdefault(section, {})[key] = value
    if section in {"model", "data"} and keys.keys() & {"model_name_or_path", "train_file"}:
        sections[section] = dict(keys)
    lines = []
    for name, values in sections.items():
        lines += [f"{name}:", *(f"  {key}: {value}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


# Every old name that is accepted: section, old name, value, new name, new value.
ACCEPTED = [
    ("model", "torch_dtype", "bfloat16", "dtype", "bfloat16"),
    ("model", "model_name_or_path", "m2", "name_or_path", "m2"),
    ("model", "use_flash_attention_2", "true", "attn_implementation", "flash_attention_2"),
    ("data", "train_file", "t2", "train", "t2"),
    ("data", "validation_file", "v", "validation", "v"),
    ("data", "eval", "v", "validation", "v"),
    ("lora", "rank", "4", "r", 4),
    ("lora", "lora_r", "4", "r", 4),
    ("lora", "lora_rank", "4", "r", 4),
    ("lora", "alpha", "8", "lora_alpha", 8),
    ("lora", "dropout", "0.1", "lora_dropout", 0.1),
    ("lora", "lora_target_modules", "[q]", "target_modules", ["q"]),
    ("lora", "rslora", "true", "use_rslora", True),
    ("lora", "dora", "true", "use_dora", True),
    ("quantization", "use_4bit", "true", "load_in_4bit", True),
    ("quantization", "use_8bit", "true", "load_in_8bit", True),
    ("quantization", "quant_type", "nf4", "bnb_4bit_quant_type", "nf4"),
    ("quantization", "compute_dtype", "bfloat16", "bnb_4bit_compute_dtype", "bfloat16"),
    ("quantization", "use_double_quant", "true", "bnb_4bit_use_double_quant", True),
    ("quantization", "use_nested_quant", "true", "bnb_4bit_use_double_quant", True),
    ("training", "max_seq_length", "512", "max_length", 512),
    ("training", "evaluation_strategy", "epoch", "eval_strategy", "epoch"),
    ("training", "warmup_ratio", "0.03", "warmup_steps", 0.03),
    ("training", "group_by_length", "true", "train_sampling_strategy", "group_by_length"),
    ("training", "group_by_length", "false", "train_sampling_strategy", "random"),
    ("training", "no_cuda", "true", "use_cpu", True),
    ("training", "per_gpu_train_batch_size", "2", "per_device_train_batch_size", 2),
    ("training", "per_gpu_eval_batch_size", "2", "per_device_eval_batch_size", 2),
    ("training", "use_liger", "true", "use_liger_kernel", True),
    ("training", "adafactor", "true", "optim", "adafactor"),
    ("training", "push_to_hub_token", "t", "hub_token", "t"),
    ("training", "push_to_hub_model_id", "i", "hub_model_id", "i"),
    ("training", "torchdynamo", "inductor", "torch_compile_backend", "inductor"),
]


@pytest.mark.parametrize("section, old, value, new, carried", ACCEPTED, ids=[f"{row[0]}.{row[1]}" for row in ACCEPTED])
def test_same_meaning_is_accepted(
    load: Callable[[str], Config], *, section: str, old: str, value: str, new: str, carried: object
) -> None:
    content = text(section, **{old: value})
    config = load(content)
    [notice] = config.renamed
    line = next(number for number, it in enumerate(content.splitlines(), 1) if it.startswith(f"  {old}:"))

    assert carried == getattr(getattr(config, section), new)
    assert old not in config.resolved()[section]
    assert f"{section}.{old}: is now called {section}.{new}" in str(notice)
    assert line == notice.line == config.line_of(f"{section}.{new}")


def test_the_table_above_has_every_accepted_name() -> None:
    names = {(section, old) for section, table in OLD_NAMES.items() for old, it in table.items() if isinstance(it, Now)}

    assert names == {(section, old) for section, old, *_ in ACCEPTED}


INSTEAD = [(name, old) for name, table in OLD_NAMES.items() for old, it in table.items() if isinstance(it, Instead)]


@pytest.mark.parametrize("section, old", INSTEAD)
def test_another_meaning_is_refused_with_what_to_write(
    problems: Callable[[str], list[Problem]], section: str, old: str
) -> None:
    entry = OLD_NAMES[section][old]
    assert isinstance(entry, Instead)
    [problem] = problems(text(section, **{old: "1"}))

    assert (f"{section}.{old}", "is not a key here", entry.advice) == (problem.key, problem.message, problem.hint)
    assert problem.line is not None


def test_instead_is_tried_for_all() -> None:
    assert len(INSTEAD) >= 22


NO_COUNTERPART = [
    ("training", {"warmup_ratio": "1"}, "A warmup_steps below 1 is the ratio"),
    ("training", {"warmup_ratio": "-0.1"}, "A warmup_steps below 1 is the ratio"),
    ("training", {"warmup_ratio": "'0.1'"}, "Remove the quotes: 0.1"),
    ("training", {"warmup_ratio": "true"}, "expected a number, got true"),
    ("training", {"adafactor": "false"}, "Remove it"),
    ("training", {"group_by_length": "1"}, "expected one of random"),
    ("model", {"use_flash_attention_2": "false"}, "attn_implementation: sdpa"),
    ("training", {"max_seq_length": "512", "max_length": "512"}, "old name of max_length, which is set too (line 8)"),
    ("lora", {"rank": "8", "lora_r": "8"}, "is the old name of r, which is set too"),
    ("lora", {"rank": "None"}, "None is the text 'None'"),
    ("lora", {"r": "None", "rank": "8"}, "None is the text 'None'"),
]


@pytest.mark.parametrize("section, keys, complaint", NO_COUNTERPART)
def test_values_without_counterpart(
    problems: Callable[[str], list[Problem]], section: str, keys: dict[str, str], complaint: str
) -> None:
    assert complaint in "\n".join(map(str, problems(text(section, **keys))))


def test_renamed_value(load: Callable[[str], Config]) -> None:
    config = load(text("training", packing_strategy="bfd-requeue"))

    assert config.training.packing_strategy == "bfd_split"
    assert [notice.message for notice in config.renamed] == ["bfd-requeue is now called bfd_split"]


def test_the_tables_fit_the_installed_libraries() -> None:
    """No old name is a valid key any more, and each replacement is one."""
    for section, table in OLD_NAMES.items():
        valid = set(members(file_members()[section]))

        assert not valid & set(table)
        assert {it.name for it in table.values() if isinstance(it, Now)} <= valid

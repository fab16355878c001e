"""Names that configs used to have, or have elsewhere, and what they are called now.

A name whose meaning is unchanged is accepted: its value is carried over, and a notice names the replacement. A name
whose meaning has no exact counterpart is a fault that says what to write instead. An entry only applies where the
installed library doesn't know the name itself, so the table stays right for older versions.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

from .document import Document
from .problems import Key, Problem, dotted


class NotTheSame(Exception):
    """This value of an old name has no counterpart under the new one; the message says what to write instead."""


@dataclass(frozen=True)
class Now:
    """The name is now another one, with the same meaning once the value is translated."""

    name: str
    translate: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True)
class Instead:
    """The name has no exact counterpart: what to write instead."""

    advice: str


def _ratio(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and not 0 <= value < 1:
        raise NotTheSame("A warmup_steps below 1 is the ratio; from 1 on it counts steps")
    return value


def _by_length(value: Any) -> Any:
    return {True: "group_by_length", False: "random"}[value] if isinstance(value, bool) else value


def _flash_attention(value: Any) -> Any:
    if value is not True:
        raise NotTheSame("Remove it, or name the implementation: attn_implementation: sdpa")
    return "flash_attention_2"


def _adafactor(value: Any) -> Any:
    if value is not True:
        raise NotTheSame("Remove it; the optimizer is named by optim")
    return "adafactor"


_QUANTIZATION = Instead("Write it in the section quantization: load_in_4bit: true (or load_in_8bit)")
_REMOVE = "Remove it: "

OLD_NAMES: dict[str, dict[str, Now | Instead]] = {
    "model": {
        "torch_dtype": Now("dtype"),
        "model_name_or_path": Now("name_or_path"),
        "use_flash_attention_2": Now("attn_implementation", _flash_attention),
        "load_in_4bit": _QUANTIZATION,
        "load_in_8bit": _QUANTIZATION,
        "use_4bit": _QUANTIZATION,
        "use_8bit": _QUANTIZATION,
        "quantization_config": _QUANTIZATION,
    },
    "data": {
        "train_file": Now("train"),
        "validation_file": Now("validation"),
        "eval": Now("validation"),
    },
    "lora": {
        "rank": Now("r"),
        "lora_r": Now("r"),
        "lora_rank": Now("r"),
        "alpha": Now("lora_alpha"),
        "dropout": Now("lora_dropout"),
        "lora_target_modules": Now("target_modules"),
        "rslora": Now("use_rslora"),
        "dora": Now("use_dora"),
    },
    "quantization": {
        "use_4bit": Now("load_in_4bit"),
        "use_8bit": Now("load_in_8bit"),
        "quant_type": Now("bnb_4bit_quant_type"),
        "compute_dtype": Now("bnb_4bit_compute_dtype"),
        "use_double_quant": Now("bnb_4bit_use_double_quant"),
        "use_nested_quant": Now("bnb_4bit_use_double_quant"),
        "bits": Instead("Write load_in_4bit: true or load_in_8bit: true"),
        "quant_method": Instead(_REMOVE + "this section is bitsandbytes' own"),
    },
    "training": {
        "max_seq_length": Now("max_length"),
        "evaluation_strategy": Now("eval_strategy"),
        "warmup_ratio": Now("warmup_steps", _ratio),
        "group_by_length": Now("train_sampling_strategy", _by_length),
        "no_cuda": Now("use_cpu"),
        "per_gpu_train_batch_size": Now("per_device_train_batch_size"),
        "per_gpu_eval_batch_size": Now("per_device_eval_batch_size"),
        "use_liger": Now("use_liger_kernel"),
        "adafactor": Now("optim", _adafactor),
        "push_to_hub_token": Now("hub_token"),
        "push_to_hub_model_id": Now("hub_model_id"),
        "torchdynamo": Now("torch_compile_backend"),
        "tokenizer": Instead("A tokenizer from elsewhere is named by model.tokenizer"),
        "processing_class": Instead("A tokenizer from elsewhere is named by model.tokenizer"),
        "train_dataset": Instead("The data are named by data.train"),
        "eval_dataset": Instead("Held-out data are named by data.validation"),
        "peft_config": Instead("The adapter's settings are the section lora"),
        "dataset_batch_size": Instead(_REMOVE + "TRL no longer batches the dataset by it"),
        "num_of_sequences": Instead(_REMOVE + "packing: true with max_length does this now"),
        "chars_per_token": Instead(_REMOVE + "packing: true with max_length does this now"),
        "logging_dir": Instead("Set the environment variable TENSORBOARD_LOGGING_DIR"),
        "save_safetensors": Instead(_REMOVE + "weights are always saved as safetensors"),
        "overwrite_output_dir": Instead(_REMOVE + "checkpoints resume only by resume_from_checkpoint"),
        "half_precision_backend": Instead(_REMOVE + "bf16 and fp16 alone decide"),
        "fp16_opt_level": Instead(_REMOVE + "bf16 and fp16 alone decide"),
        "use_mps_device": Instead(_REMOVE + "an MPS device is used when there is one; use_cpu: true says no"),
        "fsdp_min_num_params": Instead("Write it in fsdp_config: {min_num_params: ...}"),
        "fsdp_transformer_layer_cls_to_wrap": Instead(
            "Write it in fsdp_config: {transformer_layer_cls_to_wrap: [...]}"
        ),
    },
}

# Values that were renamed under an unchanged key.
_OLD_VALUES: dict[Key, dict[str, str]] = {
    ("training", "packing_strategy"): {"bfd-requeue": "bfd_split"},
}


def apply_renames(document: Document, known: Callable[[str], Container[str]]) -> list[Problem]:
    """Rewrite old names in a document to the present ones.

    Args:
        document: Its ``data`` and ``marks`` are changed in place, and faults are added to its ``problems``.
        known: The valid keys of a section.

    Returns:
        A notice for each name that was accepted under its replacement.
    """
    notices: list[Problem] = []
    for section, table in OLD_NAMES.items():
        values = document.data.get(section)
        if not isinstance(values, dict):
            continue
        for old in [name for name in values if name in table and name not in known(section)]:
            notices += _rename(document, (section, old), table[old])
    for key, values in _OLD_VALUES.items():
        section, name = map(str, key)
        found = document.data.get(section)
        if isinstance(found, dict) and isinstance(value := found.get(name), str) and value in values:
            found[name] = values[value]
            notices.append(document.problem(key, f"{value} is now called {values[value]}"))
    return notices


def _rename(document: Document, key: Key, entry: Now | Instead) -> list[Problem]:
    section, old = map(str, key)
    values = document.data[section]
    value = values.pop(old)
    match entry:
        case Instead(advice):
            document.problems.append(document.problem(key, "is not a key here", advice))
        case Now(name) if name in values or (section, name) in document.refused:
            other = document.marks.get((section, name))
            place = f" (line {other.line})" if other else ""
            message = f"is the old name of {name}, which is set too{place}"
            document.problems.append(document.problem(key, message, f"Keep {name}"))
        case Now(name, translate):
            try:
                values[name] = translate(value)
            except NotTheSame as reason:
                message = f"is the old name of {name}, and this value has no counterpart"
                document.problems.append(document.problem(key, message, str(reason)))
                document.refused.add((section, name))
                return []
            _move_marks(document, key, (section, name))
            return [document.problem(key, f"is now called {dotted((section, name))}", _written(name, value, values))]
    return []


def _written(name: str, old_value: Any, values: dict[str, Any]) -> str | None:
    return f"Write {name}: {values[name]}" if values[name] != old_value else None


def _move_marks(document: Document, old: Key, new: Key) -> None:
    """Let the new name, and all that is under it, point to where the old one stands in the file."""
    moved = {(*new, *key[2:]): mark for key, mark in document.marks.items() if key[:2] == old}
    document.marks |= moved

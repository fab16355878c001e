"""The adapter as it lies in the output folder: what its config says, and what its file holds, read without a pickle."""

import json
from collections import Counter
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from preflight.config import Config
from preflight.config.model import Section
from preflight.findings import NotAvailable
from preflight.model import build, files

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# Decide what a layer with an adapter does; judged by that, since one thing can be written in several ways.
WHERE = ("target_modules", "layers_to_transform", "exclude_modules")
HOW = ("r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern", "alpha_pattern")
OTHERS = ("peft_type", "task_type", "modules_to_save", "bias", "trainable_token_indices", "target_parameters")
BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}  # of a value; all others have one

EMBEDDINGS = {"embed_tokens", "lm_head", "wte", "embed_in", "embed_out", "word_embeddings"}  # with the output layer

Effect = tuple[int, float, bool]  # rank, scale and whether it is DoRA


class Tensor(NamedTuple):
    """A tensor of a file.

    Attributes:
        dtype: Its type, as safetensors calls it, such as `BF16`.
        shape: Its sizes.
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Its size in the file."""
        return prod(self.shape) * BYTES.get(self.dtype, 1)


class Unreadable(NotAvailable):
    """There is no adapter, or its files are damaged."""


def settings_of(config: Config) -> dict[str, Any]:
    """What the adapter's own config says.

    Raises:
        Unreadable: it is missing, or no JSON object.
    """
    path = config.output_dir / SETTINGS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Unreadable(f"no {SETTINGS} in {path.parent}; run `preflight train {config.path.name}` first") from None
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable(f"{path} can't be read: {build.short(error)}; see POST-102") from error
    if not isinstance(found, dict):
        raise Unreadable(f"{path} holds no object; see POST-102")
    return found


def tensors_of(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, from its header.

    Raises:
        Unreadable: it is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 - it is no dict
            return {name: Tensor(part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    except FileNotFoundError:
        raise Unreadable(f"no {path.name} in {path.parent}; see POST-101") from None
    except (SafetensorError, OSError) as error:
        raise Unreadable(f"{path} can't be read: {build.short(error)}; see POST-102") from error


def attached(config: Config, lora: Mapping[str, Any] | None = None) -> Any:
    """The model without weights, with the adapter on it: a `peft.PeftModel` on the meta device.

    Args:
        config: The run's config.
        lora: The settings of the adapter; those of the config if not given. What this peft doesn't know is left out.

    Raises:
        Unreadable: the model can't be built, or peft refuses these settings.
    """
    from peft import LoraConfig

    from preflight.model import modules

    if lora is not None:
        known = {key: value for key, value in lora.items() if key in LoraConfig.__dataclass_fields__}
        config = config.model_copy(update={"lora": Section(known)})
    skeleton = modules.skeleton(config)
    try:
        return modules.attach(skeleton, config)
    except Exception as error:  # peft raises anything here, from ValueError to re.error
        raise Unreadable(f"the adapter can't be attached: {build.short(error)}; see CFG-101 and POST-102") from error


def expected(model: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that peft saves of an adapter; of its embeddings only what is trained."""
    from peft import get_peft_model_state_dict

    return {name: tuple(value.shape) for name, value in get_peft_model_state_dict(model).items()}


def effects(model: Any) -> dict[str, Effect]:
    """What the adapter comes to on each layer that has one, by the layer's name."""
    from peft.tuners.lora import LoraLayer

    found = {}
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer) and "default" in module.scaling:
            dora = bool(getattr(module, "use_dora", {}).get("default", False))
            found[name] = (int(module.r["default"]), round(float(module.scaling["default"]), 6), dora)
    return found


def differing(config: Config, ours: Any, saved: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Settings that are others in the adapter's config than in the run's: both values, the adapter's own first.

    Args:
        config: The run's config.
        ours: Its model with the adapter attached.
        saved: What the adapter's config says.
    """
    asked, whole = build.lora_config(config), ours.peft_config["default"]

    def values(key: str) -> tuple[Any, Any, Any]:
        return (
            plain(saved.get(key, getattr(type(asked)(), key))),
            plain(getattr(asked, key)),
            plain(getattr(whole, key)),
        )

    found = {}
    for key in OTHERS:
        theirs, written, resolved = values(key)
        unsaid = key == "task_type" and theirs is None and "task_type" not in (config.lora or {})
        if theirs not in (written, resolved) and not unsaid:
            found[key] = (theirs, written)
    layers = {key: values(key) for key in (*WHERE, *HOW)}
    odd = {key: (one, other) for key, (one, other, resolved) in layers.items() if one not in (other, resolved)}
    if odd:
        now, then = effects(ours), effects(attached(config, saved))
        elsewhere = now.keys() != then.keys()
        otherwise = any(now[name] != then[name] for name in now.keys() & then.keys())
        found |= {key: pair for key, pair in odd.items() if (elsewhere if key in WHERE else otherwise)}
    return found


def plain(value: Any) -> Any:
    """A setting as it can be compared: a set without order, nothing for what is empty."""
    value = getattr(value, "value", value)
    if isinstance(value, list | tuple | set | frozenset):
        value = sorted(value, key=str)
    return None if value in ([], {}, ()) else value


def same_shapes(one: Mapping[str, tuple[int, ...]], other: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether both have as many tensors of each shape, whatever they are called."""
    return Counter(one.values()) == Counter(other.values())


def rows_of(model: Any) -> int:
    """Rows of the base model's embedding."""
    return int(model.get_base_model().get_input_embeddings().weight.shape[0])


def holds_tokens(name: str) -> bool:
    """Whether a tensor has a row for each token: the weight of an embedding or of an output layer."""
    parts = name.split(".")
    return parts[-1] == "weight" and "lora_" not in name and bool(EMBEDDINGS & set(parts))


def stop_ids(config: Config, eos: int | None) -> set[int]:
    """The ids at which an inference engine stops: EOS, and what the generation config names.

    That of the output folder comes before that of the base model; an adapter has none of its own.
    """
    path = config.output_dir / "generation_config.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))["eos_token_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return files.stop_ids(config, eos)
    own = {value} if isinstance(value, int) else set(value or ())
    return own | ({eos} if eos is not None else set())

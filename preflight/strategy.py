"""How the run is spread over processes and cards: what the config, the launcher and the target come to."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from preflight.config import Config
from preflight.target import Target

Kind = Literal["single", "ddp", "dp", "naive", "fsdp", "zero1", "zero2", "zero3"]
SPREAD = ("auto", "balanced", "balanced_low_0", "sequential")  # accelerate's device maps over all cards


@dataclass(frozen=True, slots=True)
class Strategy:
    """How training is spread.

    Attributes:
        kind: `single` one process on one device; `ddp` a copy of the model in each process; `dp` one process that
            copies the model to all its cards at each step (`nn.DataParallel`, what transformers does with several
            cards and no launcher); `naive` one process, layers spread over the cards by `model.device_map`; `fsdp`,
            `zero1`, `zero2`, `zero3` shards between processes.
        world: Processes.
    """

    kind: Kind
    world: int


def strategy_of(config: Config, target: Target) -> Strategy:
    """The strategy that the config asks for, on a machine.

    Described machines are taken to run one process a card. On this machine the launcher's `WORLD_SIZE` says how many
    there are.
    """
    cards = len(target.gpus)
    spread = spreads(config.model.device_map)
    world = _number(os.environ.get("WORLD_SIZE"), 1) if target.local else max(cards, 1)
    stage = zero_stage(config)
    if stage:
        return Strategy(f"zero{stage}", world)  # type: ignore[arg-type]
    if config.training_value("fsdp"):
        return Strategy("fsdp", world)
    if spread and cards > 1 and (world == 1 or not target.local):
        return Strategy("naive", 1)
    if world > 1:
        return Strategy("ddp", world)
    # A quantized model is never copied: transformers takes one card for it.
    return Strategy("dp" if target.local and cards > 1 and config.quantization is None else "single", 1)


def spreads(device_map: str | Mapping[str, Any] | None) -> bool:
    """Whether a device map may put a model's layers on several devices."""
    if isinstance(device_map, Mapping):
        return len(set(device_map.values())) > 1
    return device_map in SPREAD


def zero_stage(config: Config) -> int:
    """The stage of ZeRO that `training.deepspeed` asks for; 0 without DeepSpeed, or where its file can't be read."""
    stage = deepspeed_config(config).get("zero_optimization", {})
    number = stage.get("stage", 0) if isinstance(stage, dict) else 0
    return number if number in (1, 2, 3) else 0


def deepspeed_config(config: Config) -> Mapping[str, Any]:
    """The content of `training.deepspeed`: itself, or what its file holds; empty where there is none."""
    return _content(config, config.training_value("deepspeed"))


def fsdp_config(config: Config) -> Mapping[str, Any]:
    """The content of `training.fsdp_config`: itself, or what its file holds; empty where there is none.

    transformers takes each name with and without `fsdp_` before it; here it is without.
    """
    content = _content(config, config.training_value("fsdp_config"))
    return {name.removeprefix("fsdp_"): value for name, value in content.items()}


def _content(config: Config, given: Any) -> Mapping[str, Any]:
    if isinstance(given, str):
        try:
            given = json.loads(config.resolve(given).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
    return given if isinstance(given, dict) else {}


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() and int(text) else default

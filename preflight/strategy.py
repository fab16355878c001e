"""How the run is spread over processes and cards: what the config, the launcher and the target come to."""

import os
from dataclasses import dataclass
from typing import Literal

from preflight.config import Config

Kind = Literal["single", "ddp", "naive", "fsdp", "zero1", "zero2", "zero3"]


@dataclass(frozen=True, slots=True)
class Strategy:
    """How training is spread.

    Attributes:
        kind: `single` one process on one device; `ddp` a copy of the model in each process; `naive` one process, layers
            spread over the cards by `model.device_map`; `fsdp`, `zero1`, `zero2`, `zero3` shards between processes.
        world: Processes.
    """

    kind: Kind
    world: int


def strategy_of(config: Config) -> Strategy:
    """The strategy that the config asks for, on the machine that it names."""
    here = config.hardware.is_local
    world = int(os.environ.get("WORLD_SIZE", "1")) if here else max(config.hardware.count or 1, 1)
    if config.training_value("fsdp"):
        return Strategy("fsdp", world)
    return Strategy("ddp" if world > 1 else "single", world)

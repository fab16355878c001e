"""How this process was launched, against what was cleared: as many processes, and the engine that was judged."""

import os
from collections.abc import Mapping

from preflight.clearance import Refused
from preflight.config import Config
from preflight.strategy import spreads

ENGINES = {"fsdp": "ACCELERATE_USE_FSDP", "deepspeed": "ACCELERATE_USE_DEEPSPEED"}


def agrees(config: Config, environment: Mapping[str, str] | None = None) -> str:
    """Compare the launch with the config.

    Args:
        config: The run's config.
        environment: What the launcher set, as torchrun and `accelerate launch` do; this process's own if not given.

    Returns:
        A line for the person who launched several processes: how many rows come together in a step.

    Raises:
        Refused: they don't agree, with the command that does.
    """
    environment = os.environ if environment is None else environment
    world = int(environment.get("WORLD_SIZE") or 1)
    value = config.training_value
    asked = next((engine for engine in ENGINES if value(engine)), None)
    count = config.hardware.count
    wanted = 1 if spreads(config.model.device_map) and not asked else count
    if wanted and wanted != world:
        raise Refused(
            f"hardware.count is {count}, and {'1 process was' if world == 1 else f'{world} processes were'} launched: "
            f"a step would see {_rows(config, world)} rows, and was judged with {_rows(config, wanted)}. "
            f"Launch it with: {command(config, wanted)}"
        )
    if asked and world == 1:
        raise Refused(f"training.{asked} needs several processes. Launch it with: {command(config, count or 2)}")
    for engine, name in ENGINES.items():
        if environment.get(name, "").lower() in ("true", "1") and asked != engine:
            raise Refused(
                f"accelerate was told to use {engine}, and the config that was cleared says "
                f"{f'training.{asked}' if asked else 'nothing of it'}. Move it to training.{engine} and clear that, or "
                f"launch with: {command(config, world)}"
            )
    if world == 1:
        return ""
    return f"{world} processes, {_rows(config, world)} rows a step"


def command(config: Config, processes: int) -> str:
    """How to launch so many processes on one machine."""
    name = os.path.relpath(config.path)
    if processes == 1:
        return f"preflight train {name}"
    return f"torchrun --standalone --nproc_per_node {processes} -m preflight.trainer {name}"


def _rows(config: Config, world: int) -> int:
    value = config.training_value
    return int(value("per_device_train_batch_size") * value("gradient_accumulation_steps") * world)

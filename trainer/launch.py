"""How this process was launched, against what was cleared: as many processes, and the engine that was judged."""

import os
import shlex
from collections.abc import Iterator, Mapping

from preflight import driver
from preflight.clearance import Refused
from preflight.config import Config
from preflight.strategy import spreads

ENGINES = {"fsdp": "ACCELERATE_USE_FSDP", "deepspeed": "ACCELERATE_USE_DEEPSPEED"}
# What no config says, so that the gate has judged none of it.
UNJUDGED = {
    "ACCELERATE_USE_PARALLELISM_CONFIG": "share a row among processes (parallelism_config)",
    "ACCELERATE_USE_MEGATRON_LM": "use Megatron-LM",
}


def agrees(config: Config, environment: Mapping[str, str] | None = None, cards: int | None = None) -> str:
    """Compare the launch with the config.

    Args:
        config: The run's config.
        environment: What the launcher set, as torchrun and `accelerate launch` do; this process's own if not given.
        cards: How many cards this machine has; what the driver says if not given.

    Returns:
        A line for the person who launched several processes: how many rows come together in a step.

    Raises:
        Refused: they don't agree, with the command that does.
    """
    environment = os.environ if environment is None else environment
    cards = len(driver.card_names()) if cards is None else cards
    world = int(environment.get("WORLD_SIZE") or 1)
    local = int(environment.get("LOCAL_WORLD_SIZE") or world)
    here = local if local < world else cards  # the processes that one machine has room for
    asked = _engine(config)
    count = config.hardware.count
    wanted = 1 if spreads(config.model.device_map) and not asked else count
    if wanted and wanted != world:
        raise Refused(
            f"hardware.count is {count}, and {'1 process was' if world == 1 else f'{world} processes were'} launched: "
            f"a step would see {_rows(config, world)} rows, and was judged with {_rows(config, wanted)}. "
            f"{how_to(config, wanted, here)}"
        )
    if asked and "WORLD_SIZE" not in environment:
        raise Refused(f"training.{asked} needs a launcher. {how_to(config, count or cards or 1, here)}")
    for told, remedy in _told(config, environment):
        raise Refused(
            f"accelerate was told to {told}, and the config that was cleared doesn't say so. {remedy} "
            f"{how_to(config, world, here)}"
        )
    if world == 1:
        return ""
    return f"{world} processes, {_rows(config, world)} rows a step"


def how_to(config: Config, processes: int, here: int = 0) -> str:
    """The command that launches so many processes, in a sentence.

    Args:
        config: The run's config.
        processes: How many, over all machines.
        here: How many one machine has room for; 0 for all of them.
    """
    name = shlex.quote(os.path.relpath(config.path))
    if processes == 1 and not _engine(config):
        return f"Launch it with: preflight train {name}"
    machines = processes // here if here and processes % here == 0 else 1
    if machines == 1:
        return f"Launch it with: torchrun --standalone --nproc_per_node {processes} -m preflight.trainer {name}"
    return (
        f"Launch it on each of {machines} machines with: torchrun --nnodes {machines} --nproc_per_node {here} "
        f"--rdzv_backend c10d --rdzv_endpoint HOST:29500 -m preflight.trainer {name}"
    )


def _engine(config: Config) -> str | None:
    return next((engine for engine in ENGINES if config.training_value(engine)), None)


def _told(config: Config, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What accelerate was told and the config doesn't say, with what to do. What it does say wins in transformers."""
    value = config.training_value

    def told(name: str) -> str:
        said = environment.get(name, "").lower()
        return "" if said in ("no", "false", "0") else said

    for engine, name in ENGINES.items():
        if told(name) and _engine(config) != engine:
            yield f"use {engine}", f"Move it to training.{engine} and clear that, or leave it out."
    for name, what in UNJUDGED.items():
        if told(name):
            yield what, "The gate can't judge it: leave it out."
    if (precision := told("ACCELERATE_MIXED_PRECISION")) and not (value("bf16") or value("fp16")):
        yield f"compute in {precision}", "Set training.bf16 or training.fp16 and clear that, or leave it out."
    if (backend := told("ACCELERATE_DYNAMO_BACKEND")) and not value("torch_compile"):
        yield f"compile the model ({backend})", "Set training.torch_compile and clear that, or leave it out."


def _rows(config: Config, world: int) -> int:
    value = config.training_value
    return int(value("per_device_train_batch_size") * value("gradient_accumulation_steps") * world)

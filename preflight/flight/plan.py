"""What is known of a run before its first step: what judges of its log compare with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from preflight.config import Config
from preflight.data import store
from preflight.findings import NotAvailable
from preflight.flight.log import Log
from preflight.schedule import schedule_of

Order = Literal["random", "sequential", "group_by_length"]
MLP = ("gate_proj", "up_proj", "down_proj", "fc1", "fc2", "c_fc", "dense_h_to_4h", "w1", "w2", "w3", "mlp")


@dataclass(frozen=True)
class Plan:
    """The plan of a run.

    Attributes:
        steps: Optimizer steps of the whole run.
        epoch: Optimizer steps of one pass over the data.
        warmup: Steps of warm-up.
        rate: Peak learning rate.
        rank: `lora.r`; 0 for full fine-tuning.
        mlp: Whether layers of the MLP are trained.
        order: How rows are drawn: transformers' `train_sampling_strategy`.
        batch: Rows of a micro batch on one device.
        accumulation: Micro batches of a step.
        fp16: Whether a loss scaler is at work.
        guessing: Loss of a model that guesses, the logarithm of the vocabulary; None if that isn't known.
        first_loss: The first loss that the rehearsal measured; None without one.
        text: Whether plain text is learned, all of it.
        offloaded: What the config keeps off the card, as a config key; None for nothing.
    """

    steps: int
    epoch: int
    warmup: int = 0
    rate: float = 2e-4
    rank: int = 16
    mlp: bool = False
    order: Order = "random"
    batch: int = 4
    accumulation: int = 1
    fp16: bool = False
    guessing: float | None = None
    first_loss: float | None = None
    text: bool = False
    offloaded: str | None = None


def plan_for(config: Config, log: Log) -> Plan:
    """The plan of a run that has a log."""
    if log.foreign:  # what the config is silent about was not settled by TRL's defaults, but by another's
        return plan_of_foreign(config, log)
    try:
        return as_launched(plan_of(config), log)
    except NotAvailable:
        return plan_in_log(config, log)


def plan_of(config: Config) -> Plan:
    """The plan of a run whose data is prepared.

    Raises:
        NotAvailable: it isn't.
    """
    try:
        train = store.open_prepared(store.folder_of(config)).train
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotAvailable(f"the prepared data can't be opened; clear the run again ({error})") from error
    schedule = schedule_of(config, len(train.dataset))
    return replace(
        _of_config(config),
        steps=schedule.steps,
        epoch=schedule.steps_per_epoch,
        warmup=schedule.warmup,
        text=bool((train.profile["shape"] == "text").all()),
    )


def plan_in_log(config: Config, log: Log) -> Plan:
    """The plan of a run that is over, as far as its log tells: its prepared data is gone, or never was ours."""
    epochs, rates = log.curve("epoch"), log.curve("learning_rate")
    steps = max([0, *(int(log.curve(key).steps.max()) for key in ("loss", "train_loss") if len(log.curve(key)))])
    return replace(
        _of_config(config),
        steps=steps,
        epoch=max(round(epochs.steps[-1] / epochs.values[-1]), 1) if len(epochs) and epochs.values[-1] > 0 else steps,
        warmup=int(rates.steps[rates.values.argmax()]) - 1 if len(rates) else 0,
    )


def plan_of_foreign(config: Config, log: Log) -> Plan:
    """The plan of a run that another program did: what its log says comes before what the config does."""
    plan, rates, rows = plan_in_log(config, log), finite_values(log, "learning_rate"), log.curve("rows").values
    ended = log.curve("loss").steps[-1:]
    return replace(
        plan,
        steps=int(ended[0]) if len(ended) else plan.steps,  # it is over: nothing comes after its last loss
        rate=float(max(rates)) if any(rates) else plan.rate,
        batch=int(rows[0]) if len(rows) else plan.batch,
        first_loss=None,  # what was rehearsed here was another program's run
    )


def finite_values(log: Log, key: str) -> list[float]:
    """The values of a key that are finite."""
    return [float(value) for value in log.curve(key).values if math.isfinite(value)]


def _of_config(config: Config) -> Plan:
    """What the config alone says, without the steps."""
    from preflight.rehearsal import facts

    value = config.training_value
    rehearsed = facts.read(config.artefacts("preflight") / "rehearsal.json")
    first = rehearsed.fresh if rehearsed else None
    return Plan(
        steps=0,
        epoch=0,
        rate=value("learning_rate"),
        rank=int(config.lora_value("r")) if config.lora is not None else 0,
        mlp=config.lora is None or _names_mlp(config.lora.get("target_modules")),
        order=value("train_sampling_strategy"),
        batch=value("per_device_train_batch_size"),
        accumulation=value("gradient_accumulation_steps"),
        fp16=bool(value("fp16")),
        guessing=_guessing(config),
        first_loss=first if first is not None and math.isfinite(first) else None,
        offloaded=_offloaded(config),
    )


def as_launched(plan: Plan, log: Log) -> Plan:
    """The plan of a run as it was launched: over how many processes is not for the config alone to say."""
    planned = log.curve("planned_steps")
    if not len(planned) or not plan.steps:
        return plan
    steps = int(planned.values[-1])
    return replace(plan, steps=steps, epoch=max(round(plan.epoch * steps / plan.steps), 1))


def _names_mlp(target: Any) -> bool:
    if target is None:  # peft's own choice for the architecture: attention
        return False
    names = [target] if isinstance(target, str) else list(target)
    return any(name == "all-linear" or any(part in name for part in MLP) for name in names)


def _guessing(config: Config) -> float | None:
    from preflight.model.tokenizer import load_tokenizer

    try:
        size = len(load_tokenizer(config).hf)
    except NotAvailable:
        return None
    return math.log(size) if size > 1 else None


def _offloaded(config: Config) -> str | None:
    devices = config.model.device_map
    if isinstance(devices, Mapping) and {"cpu", "disk"} & set(map(str, devices.values())):
        return "model.device_map"
    from preflight.strategy import deepspeed_config, fsdp_config

    zero = deepspeed_config(config).get("zero_optimization", {})
    if isinstance(zero, Mapping) and any(part in zero for part in ("offload_optimizer", "offload_param")):
        return "training.deepspeed"
    fsdp = fsdp_config(config)
    return "training.fsdp_config" if any(fsdp.get(key) for key in ("offload_params", "cpu_offload")) else None

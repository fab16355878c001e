"""What is measured while the trainer trains: time, data, memory, the card, and what moves in the model."""

import contextlib
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import TrainerCallback
from trl import SFTTrainer

from preflight import driver, energy
from preflight.findings import counted
from preflight.model.build import BuildError

from .checkpoints import same_as, writing

EVERY = 1.0  # seconds between two looks at the card: the driver's own mean is over up to one


class Trainer(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer, which also logs what a `Gauge` measures: trackers get it with the loss."""

    def watch(self, gauge: "Gauge") -> None:
        """Measure from now on."""
        self.gauge = gauge
        self.add_callback(gauge)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        """Load the weights of a checkpoint, in the precision in which they were trained, and look whether they are in.

        Raises:
            BuildError: some are not: the run would begin anew, and its log go on.
        """
        model = model or self.model
        with precision_kept(model):
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        if different := same_as(model, Path(resume_from_checkpoint)):
            name = Path(resume_from_checkpoint).name
            raise BuildError(f"{name} was loaded, and {counted(len(different), 'tensor')} of the model "
                             f"differ from it, {different[0]} first: remove it to go on from an older one")  # fmt: skip

    def _load_best_model(self) -> None:
        """The same at the end."""
        with precision_kept(self.model):
            super()._load_best_model()

    def _run_epoch(self, **arguments: Any) -> None:
        """Train an epoch, and no step beyond the last: what was killed behind its last checkpoint has none left."""
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
        else:
            super()._run_epoch(**arguments)

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Write a checkpoint, or say why not."""
        with writing(Path(self.args.output_dir, f"checkpoint-{self.state.global_step}")):
            super()._save_checkpoint(model, trial)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the trained weights, or say why not."""
        with writing(Path(output_dir or self.args.output_dir)):
            super().save_model(output_dir, _internal_call)

    def get_batch_samples(self, *arguments: Any, **more: Any) -> Any:
        """The batches of the next step, with the time that they were waited for."""
        self.gauge.fetching()
        batches, items = super().get_batch_samples(*arguments, **more)
        self.gauge.fetched(batches, items)
        return batches, items

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the measurements since the last log to those of a training step."""
        if "loss" in logs:
            logs.update(self.gauge.read(self.model))
        super().log(logs, start_time)


@contextlib.contextmanager
def precision_kept(model: torch.nn.Module) -> Iterator[None]:
    """Trained tensors have the precision that they had, whatever is loaded into them.

    TRL trains the adapter of a quantized model in bfloat16, and peft loads it in float32.
    """
    before = {name: parameter.dtype for name, parameter in _trained(model)}
    yield
    for name, parameter in model.named_parameters():  # of an adapter, these are others now
        if parameter.dtype != before.get(name, parameter.dtype):
            parameter.data = parameter.data.to(before[name])


class Gauge(TrainerCallback):  # type: ignore[misc]
    """Measures each step, and gives the means at each log."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.card = Card()
        self.norms: list[float] = []
        self.joules: float | None = None
        self.clear()

    def clear(self) -> None:
        """Begin a new stretch of steps."""
        self.steps = self.skipped = 0
        self.seconds = self.waited = 0.0
        self.tokens: list[Any] = []
        self.supervised: list[Any] = []
        self.loss_scale: float | None = None

    def fetching(self) -> None:
        """The step begins: its data is asked for."""
        self.began = time.perf_counter()

    def fetched(self, batches: list[Any], items: Any) -> None:
        """Its data is there."""
        self.waited += time.perf_counter() - self.began
        self.tokens += [_tokens(batch) for batch in batches]  # on the device; read at the next log
        if items is not None:
            self.supervised.append(items)

    def on_step_end(self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any) -> None:
        if control.should_log and torch.accelerator.is_available():
            torch.accelerator.synchronize()  # reading the loss would, and its time belongs to the step
        self.seconds += time.perf_counter() - self.began
        self.steps += 1
        if getattr(optimizer, "step_was_skipped", False):
            self.skipped += 1
        scaler = getattr(optimizer, "scaler", None)
        if scaler is not None and control.should_log:
            self.loss_scale = scaler.get_scale()

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.world = args.world_size
        self.norms = norms(model)[1]
        self.joules = energy.joules()
        self.card.start()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.card.stop()

    def read(self, model: torch.nn.Module) -> dict[str, float]:
        """The measurements since the last time, as they go to the run log."""
        if not self.steps:
            return {}
        tokens = sum(float(count) for count in self.tokens)
        found: dict[str, float] = {
            "step_seconds": self.seconds / self.steps,
            "wait_seconds": self.waited / self.steps,
            "tokens_per_second": tokens * self.world / self.seconds,
            "memory_resident": self.process.memory_info().rss,
        }
        if self.supervised:
            found["supervised"] = min(float(items) for items in self.supervised)
        if torch.cuda.is_available():
            found["memory_allocated"] = torch.cuda.memory_allocated()
            found["memory_reserved"] = torch.cuda.max_memory_reserved()
            found["memory_total"] = torch.cuda.mem_get_info()[1]
        if (busy := self.card.read()) is not None:
            found["gpu_utilization"] = busy
        before, self.joules = self.joules, energy.joules()
        if before is not None and self.joules is not None:
            found["energy_wh"] = (self.joules - before) / energy.WH
        if self.loss_scale is not None:
            found |= {"skipped": self.skipped, "loss_scale": self.loss_scale}
        found |= self.movement(model)
        self.clear()
        return {key: round(value, 6) if isinstance(value, float) else value for key, value in found.items()}

    def movement(self, model: torch.nn.Module) -> dict[str, float]:
        """What the trained matrices did since the last time."""
        names, now = norms(model)
        before, self.norms = self.norms, now
        if not now:
            return {}
        return {
            "trained_norm": math.sqrt(sum(norm * norm for norm in now)),
            "trained_matrices": len(now),
            "trained_still": sum(old == new for old, new in zip(before, now, strict=False)),
            "trained_zero": sum(norm == 0 for name, norm in zip(names, now, strict=True) if "lora_B" in name),
            "finite": all(map(math.isfinite, now)),
        }


def norms(model: torch.nn.Module) -> tuple[list[str], list[float]]:
    """Name and Euclidean norm of every trained tensor; none where DeepSpeed or a disk has them."""
    names, found = [], []
    for name, parameter in _trained(model):
        norm = torch.linalg.vector_norm(parameter.detach(), dtype=torch.float32)
        # A sharded tensor's norm is known to all processes only together.
        found.append(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
        names.append(name)
    return names, torch.stack([norm.to(found[0].device) for norm in found]).tolist() if found else []


def _trained(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not parameter.is_meta and not hasattr(parameter, "ds_id"):
            yield name, parameter


def _tokens(batch: Any) -> Any:
    """Tokens of a batch, without padding where a mask tells."""
    mask = batch.get("attention_mask")
    return batch["input_ids"].numel() if mask is None else mask.sum()


class Card:
    """How busy this process's card is, looked at once a second from a thread; nothing without NVML."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.ended = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        if torch.cuda.is_available():
            uuid = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
            threading.Thread(target=self._look, args=(uuid,), daemon=True, name="preflight-card").start()

    def stop(self) -> None:
        """Look no more."""
        self.ended.set()

    def read(self) -> float | None:
        """Mean percent of time that it was busy since the last reading; None if nothing was seen."""
        seen, self.seen = self.seen, []
        return sum(seen) / len(seen) if seen else None

    def _look(self, uuid: str) -> None:
        while not self.ended.wait(EVERY):
            busy = driver.busy(uuid)
            if busy is None:
                return
            self.seen.append(busy)

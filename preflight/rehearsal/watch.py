"""What happens to parameters and gradients while the trainer trains."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from transformers import TrainerCallback

from preflight.rehearsal.facts import Kind, Parameters, Step

AT_ONCE = 2**24  # elements: a sum in 64 bits makes a copy
AS_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Watch(TrainerCallback):  # type: ignore[misc]
    """Times steps, and remembers which parameters had gradients and which changed.

    Attributes:
        steps: The steps so far.
    """

    def __init__(self, trainer: Any, plan: Sequence[Kind], at: Callable[[str], None]) -> None:
        """Watch a trainer.

        Args:
            trainer: The trainer, whose model is watched.
            plan: Which batch each step is on.
            at: Told what is being done.
        """
        self.trainer = trainer
        self.plan = plan
        self.at = at
        self.steps: list[Step] = []
        self.alive: set[str] = set()
        self.not_finite: set[str] = set()
        self.suspects: set[str] = set()
        self.seconds = 0.0
        self.skipped = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.first = dict(prints(self.trainer.model))
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        number = state.global_step
        self.at(f"training step {number + 1} of {len(self.plan)}, on the {self.plan[number]} batch")
        self.seconds = -now()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.seconds += now()
        self.suspects = set()
        for name, parameter in self.trainer.model.named_parameters():
            if parameter.requires_grad and parameter.grad is not None:
                largest = float(parameter.grad.abs().max())
                if not math.isfinite(largest):
                    self.suspects.add(name)
                elif largest > 0:
                    self.alive.add(name)
        self.seconds -= now()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.seconds += now()
        self.skipped = bool(self.trainer.accelerator.optimizer_step_was_skipped)
        if (
            not self.skipped
        ):  # the loss scaler of fp16 skips steps whose gradients overflow, and goes on with a lower scale
            self.not_finite |= self.suspects
        self.at("saving a checkpoint" if state.global_step == len(self.plan) else "training")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            kind = self.plan[state.global_step - 1]
            self.steps.append(Step(kind, round(self.seconds, 4), float(logs["loss"]), self.skipped))

    def parameters(self) -> Parameters:
        """What became of the parameters."""
        trained = {name: p for name, p in self.trainer.model.named_parameters() if p.requires_grad}
        last = dict(prints(self.trainer.model))
        same = {name for name, value in last.items() if self.first.get(name) == value}
        broken = {name for name, value in trained.items() if not bool(torch.isfinite(value.detach().abs().max()))}
        return Parameters(
            trained=len(trained),
            frozen=len(last) - len(trained),
            unmoved=[name for name in trained if name in same],
            moved=[name for name in last if name not in same and name not in trained],
            silent=[name for name in trained if name not in self.alive | self.not_finite],
            not_finite=[name for name in trained if name in broken | self.not_finite],
        )


def prints(model: torch.nn.Module) -> Iterator[tuple[str, int]]:
    """A number for each parameter that is another as soon as one of its bits is: the sum of its bits as integers."""
    for name, parameter in model.named_parameters():
        if not parameter.is_meta:  # offloaded
            values = parameter.detach().contiguous().view(-1)
            whole = values.view(AS_INTEGERS[values.element_size()])
            yield name, sum(int(part.sum(dtype=torch.int64)) for part in torch.split(whole, AT_ONCE))


def now() -> float:
    """The clock, once all that was asked of the device is done."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return time.perf_counter()

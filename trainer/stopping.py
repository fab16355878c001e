"""How a run ends before its end: at a step that all its processes agree on, with a checkpoint that is worth having."""

import math
import signal
import sys
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from transformers import TrainerCallback

from .gauge import norms


class Interrupted(Exception):
    """A signal came while the run was evaluating: its last step is complete, and not saved yet."""


class Stop(TrainerCallback):  # type: ignore[misc]
    """Ends the run for a signal or a monitor, after the step at hand; at a second signal at once.

    Of several processes a second SIGTERM ends none: torchrun passes on the one that the scheduler sent them all.

    A checkpoint with weights that aren't finite is never written: it would take the place of one to go on from.

    Attributes:
        signal: The signal that came.
        monitor: The code of the monitor that stops the run.
        broken: Whether trained weights are not finite.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.monitor: str | None = None
        self.broken = False
        self.group: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if args.world_size > 1:
            self.group = dist.new_group(backend="gloo")  # numbers of the host: no card waits for them
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self._settle(control)
        if control.should_save:
            self._look(control, model)

    def on_log(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """The monitors have seen this step, which is evaluated and saved after it is logged."""
        saved = control.should_save
        if self._settle(control) and not saved:
            self._look(control, model)

    def _settle(self, control: Any) -> bool:
        """Whether the run ends here, for all processes."""
        number, stopped = self.agreed(self.signal or 0, bool(self.monitor))
        if number and self.signal is None:
            self.signal = signal.Signals(number)
        if number or stopped:
            control.should_training_stop = control.should_save = True
        return bool(number or stopped)

    def _look(self, control: Any, model: Any) -> None:
        """Save nothing that isn't finite."""
        (self.broken,) = map(bool, self.agreed(not all(map(math.isfinite, norms(model)[1]))))
        control.should_save = not self.broken

    def on_prediction_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # Several processes would have to agree at each of these steps; they go on to the end of the evaluation.
        if self.signal is not None and self.group is None:
            raise Interrupted

    def agreed(self, *numbers: int) -> list[int]:
        """The largest of each of these numbers over all processes."""
        if self.group is None:
            return list(numbers)
        shared = torch.tensor(numbers, dtype=torch.int64)
        dist.all_reduce(shared, dist.ReduceOp.MAX, group=self.group)
        return [int(number) for number in shared]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = signal.Signals(number)
            print(f"\n{self.signal.name}: saving a checkpoint after this step", file=sys.stderr, flush=True)
        elif self.group is None or number != signal.SIGTERM:  # a launcher passes on what every process was sent
            raise KeyboardInterrupt

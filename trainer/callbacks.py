"""What the trainer does at each step besides training: log it, show it, stop when asked to."""

import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import ProgressCallback


class RunLog(TrainerCallback):  # type: ignore[misc]
    """`run.jsonl`: one line a logged step, flushed at once, so that a killed run leaves a readable log."""

    def __init__(self, path: Path, resume: Path | None) -> None:
        self.path = path
        self.resume_step = int(resume.name.rpartition("-")[2]) if resume else 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not state.is_world_process_zero:
            return
        # A run that was killed logged steps behind its last checkpoint; they will be trained, and logged, again.
        kept = []
        if self.resume_step and self.path.is_file():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= self.resume_step]
        self.path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if state.is_world_process_zero and logs:
            line = json.dumps({"step": state.global_step, "time": round(time.time(), 3), **logs}, default=float)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")


class Progress(ProgressCallback):  # type: ignore[misc]
    """The progress bar with the loss beside it; in a log file, a plain line a logged step."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        shown = {key: logs[key] for key in ("loss", "eval_loss") if logs and key in logs}
        if not shown or not state.is_world_process_zero:
            return
        if self.training_bar is not None:
            self.training_bar.set_postfix({key: f"{float(value):.3f}" for key, value in shown.items()})
        if args.disable_tqdm:
            text = ", ".join(f"{key} {float(value):.3f}" for key, value in shown.items())
            print(f"step {state.global_step}/{state.max_steps}  {text}", file=sys.stderr, flush=True)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not args.disable_tqdm:
            super().on_train_begin(args, state, control, **kwargs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.training_bar is not None:
            super().on_step_end(args, state, control, **kwargs)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """No second bar for evaluations."""

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.training_bar is not None:
            super().on_train_end(args, state, control, **kwargs)


class StopOnSignal(TrainerCallback):  # type: ignore[misc]
    """On the first Ctrl-C or SIGTERM, finish the step, save a checkpoint and stop; on the second, stop at once."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.signal is not None:
            control.should_save = control.should_training_stop = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        print(f"\n{self.signal.name}: saving a checkpoint after this step", file=sys.stderr, flush=True)

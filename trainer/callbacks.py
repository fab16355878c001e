"""What the trainer does at each step besides training: log it, and show it."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import ProgressCallback

from preflight.flight import Log, read_log
from preflight.rehearsal.cost import in_words


class RunLog(TrainerCallback):  # type: ignore[misc]
    """`run.jsonl`: one line a logged step, flushed at once, so that a killed run leaves a readable log.

    Attributes:
        log: What is in it, for the monitors.
    """

    def __init__(self, path: Path, resume: Path | None) -> None:
        self.path = path
        self.log = Log()
        if resume and path.is_file():
            # A run that was killed logged steps behind its last checkpoint; they will be trained, and logged, again.
            last = int(resume.name.rpartition("-")[2])
            kept = [record for record in read_log(path).records if record.get("step", 0) <= last]
            for record in [*kept, {"step": last, "resumed": True}]:
                self.log.add(record)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not self.log.records:
            self.log.add({"step": 0, "planned_steps": state.max_steps, "processes": args.world_size})
        if state.is_world_process_zero:
            self.path.write_text("".join(f"{json.dumps(record)}\n" for record in self.log.records), encoding="utf-8")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if state.is_world_process_zero and logs:
            self.add({"step": state.global_step, "time": round(time.time(), 3), **logs})

    @property
    def last_step(self) -> int:
        """The last step that was logged."""
        return int(self.log.records[-1].get("step", 0)) if self.log.records else 0

    def add(self, record: dict[str, Any]) -> None:
        """Write one line."""
        line = json.dumps(record, default=float)
        self.log.add(json.loads(line))
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


class Progress(ProgressCallback):  # type: ignore[misc]
    """The progress bar with the loss and the monitors beside it; in a log file, a plain line a logged step."""

    def __init__(self, verdict: Callable[[], str]) -> None:
        """Show progress.

        Args:
            verdict: What the monitors say, in a few words.
        """
        super().__init__()
        self.verdict = verdict

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        logs = logs or {}
        shown = [f"{key} {float(logs[key]):.3f}" for key in ("loss", "eval_loss") if key in logs]
        if not shown or not state.is_world_process_zero:
            return
        if self.training_bar is not None:
            self.training_bar.set_postfix_str(", ".join([*shown, self.verdict()]))
        if args.disable_tqdm:
            if (step := logs.get("step_seconds")) is not None:
                shown += [f"{step:.3g} s a step", f"{in_words(step * (state.max_steps - state.global_step))} to go"]
                shown += [self.verdict()]
            print(f"step {state.global_step}/{state.max_steps}  {', '.join(shown)}", file=sys.stderr, flush=True)

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

"""The checks of section 5, asked while the run goes on: warn once, or end it before it costs more."""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from transformers import TrainerCallback

from preflight.config import Config
from preflight.findings import counted
from preflight.fixtures import limits_of
from preflight.flight import report
from preflight.flight.asking import ask_all, monitors_of
from preflight.flight.plan import Plan, as_launched
from preflight.verdict import Result

from .callbacks import RunLog
from .stopping import Stop

STALLED = "RUN-124"
STOPPED = 5  # exit code


class Monitors(TrainerCallback):  # type: ignore[misc]
    """Asks every monitor after each logged step, in the main process.

    Attributes:
        results: What each said last, by code.
    """

    def __init__(self, config: Config, plan: Plan, log: RunLog, stop: Stop) -> None:
        self.config = config
        self.plan = plan
        self.log = log
        self.stop = stop
        self.checks = monitors_of(config)
        self.results: dict[str, Result] = {}
        self.said: set[str] = set()
        self.started = datetime.now(UTC)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.plan = as_launched(self.plan, self.log.log)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if state.is_world_process_zero:
            self.judge()

    def judge(self) -> None:
        """Ask all of them; say what is new; ask for the end if one blocks, and let its word be the last."""
        if self.stop.monitor is not None:
            return
        self.results = ask_all(self.config, self.checks, self.log.log, self.plan)
        for code, result in self.results.items():
            if result.outcome == "failed" and self.stop.monitor is None:
                self.stop.monitor = code
            if result.outcome in ("warned", "waived", "error") and code not in self.said:
                self.said.add(code)
                say_warning(result, self.checks[code].name)

    @property
    def verdict(self) -> str:
        """What they say now, in a few words."""
        speaking = [f"{code} {result.outcome}" for code, result in self.results.items() if result.outcome not in SILENT]
        return ", ".join(speaking) if speaking else f"{counted(len(self.checks), 'monitor')} ok"

    def write_report(self) -> None:
        """Write the report of the flight so far, beside the run log."""
        report.write(self.config, self.checks, self.results, started=self.started)

    def blocking(self) -> str:
        """The monitor that stopped the run, and what it found."""
        result = self.results[self.stop.monitor or ""]
        return "\n".join([f"{result.code} {self.checks[result.code].name}", *map(in_words, result.findings[:2])])

    def watchdog(self) -> "Watchdog":
        """Ends the run if it hangs."""
        limits = limits_of(self.checks[STALLED], self.config)
        return Watchdog(limits.min_seconds, limits.times, self.stalled)

    def stalled(self, seconds: float, where: str) -> None:
        """Called by the watchdog's thread: say what hangs and, if that blocks, end this process."""
        self.log.add({"step": self.log.last_step, "time": time.time(), "stalled": round(seconds, 1), "where": where})
        self.judge()
        self.write_report()
        if self.stop.monitor is not None:  # it hangs, even if something else was to end it
            print(f"\nstopped: {self.blocking()}", file=sys.stderr, flush=True)
            print("  `preflight train` goes on from the last checkpoint", file=sys.stderr, flush=True)
            os._exit(STOPPED)

    def cards(self) -> list[dict[str, Any]]:
        """What each said at the end, for the run card."""
        return [
            {"code": code, "name": self.checks[code].name, "outcome": result.outcome, "summary": result.summary}
            for code, result in self.results.items()
        ]


SILENT = ("passed", "not-applicable", "not-available")


def say_warning(result: Result, name: str) -> None:
    """A few lines above the progress bar, once for each monitor."""
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):
        print(f"{result.code} {name} {result.outcome}: {result.reason}".rstrip(": "), file=sys.stderr)
        for finding in result.findings[:1]:
            print(in_words(finding), file=sys.stderr, flush=True)


def in_words(finding: Mapping[str, str]) -> str:
    """A finding as indented lines: where and what, why, fix."""
    place = f"{finding['where']}: " if "where" in finding else ""
    lines = [f"  {place}{finding['message']}"]
    lines += [f"  {key}: {finding[key]}" for key in ("why", "fix") if key in finding]
    return "\n".join(lines)


class Watchdog(TrainerCallback):  # type: ignore[misc]
    """Ends a run in which nothing happens any more: a loader that hangs would keep the card for nothing.

    A process that hangs can't end itself in order: a thread sees to it, and what it waits for stays unsaved.
    """

    def __init__(self, min_seconds: float, times: float, end: Callable[[float, str], None]) -> None:
        """Watch.

        Args:
            min_seconds: No pause shorter than this is too long.
            times: Nor one of fewer than so many steps of the longest kind.
            end: Called from the thread with the seconds of the pause and where the process waits; it returns if the
                process may wait on.
        """
        self.min_seconds = min_seconds
        self.times = times
        self.end = end
        self.last = time.monotonic()
        self.longest = 0.0
        self.over = threading.Event()

    def beat(self, *_: Any, **__: Any) -> None:
        """Something happened."""
        now = time.monotonic()
        self.longest, self.last = max(self.longest, now - self.last), now

    on_step_begin = on_substep_end = on_step_end = on_prediction_step = on_evaluate = on_save = on_log = beat

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.last = time.monotonic()
        main = threading.get_ident()
        threading.Thread(target=self._watch, args=(main,), daemon=True, name="preflight-watchdog").start()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.over.set()

    def _watch(self, main: int) -> None:
        while not self.over.wait(min(self.min_seconds / 4, 5)):
            paused = time.monotonic() - self.last
            if paused > max(self.min_seconds, self.times * self.longest):
                frames = traceback.extract_stack(sys._current_frames()[main])
                places = [f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in frames[:-4:-1]]
                self.end(paused, " < ".join(places))
                self.beat()

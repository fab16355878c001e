"""Timing on a machine that others use too: a repetition that they disturbed is thrown away."""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

TICK = os.sysconf("SC_CLK_TCK")
MOST = 0.1  # share of a repetition's time that other processes may have used, of one core
PATIENCE = 60.0  # seconds to wait for a quiet moment before a repetition


class TooBusy(Exception):
    """Nearly every repetition was disturbed."""


@dataclass(frozen=True)
class Times:
    """Wall seconds of the repetitions that count, and how many were disturbed."""

    seconds: list[float]
    disturbed: int

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def measure(run: Callable[[], object], repetitions: int, *, noisy: bool = False) -> Times:
    """Time `run` until there are as many undisturbed repetitions as asked for.

    Args:
        run: What to time; it works in this process and its threads.
        repetitions: How many to keep.
        noisy: Keep the disturbed ones too.

    Raises:
        TooBusy: other processes disturbed four of five.
    """
    kept: list[float] = []
    disturbed = tried = 0
    while len(kept) < repetitions:
        if tried >= 5 * repetitions:
            raise TooBusy(f"{disturbed} of {tried} repetitions were disturbed by other processes")
        if not noisy:
            _settle()
        seconds, others = _timed(run)
        tried += 1
        if others > MOST * seconds + 2 / TICK:
            disturbed += 1
            if not noisy:
                continue
        kept.append(seconds)
    return Times(kept, disturbed)


def _settle() -> None:
    """Wait until other processes leave the machine alone for a second."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and _timed(lambda: time.sleep(1))[1] > MOST:
        pass


def _timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds that it took, and seconds that all cores were busy with other processes meanwhile."""
    busy, own, start = _busy(), _own(), time.perf_counter()
    run()
    return time.perf_counter() - start, (_busy() - busy) - (_own() - own)


def _busy() -> float:
    """Seconds that all cores of the machine have been busy."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(int, stat.readline().split()[1:])
    return (user + nice + system + irq + softirq + steal) / TICK


def _own() -> float:
    """Seconds of them that were ours."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

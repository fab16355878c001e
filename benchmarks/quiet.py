"""Timing on a machine that others use too: a repetition that they disturbed is thrown away."""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

TICK = os.sysconf("SC_CLK_TCK")
MOST = 0.1  # share of a repetition's time that other processes may have used, of one core


class TooBusy(Exception):
    """Nearly every repetition was disturbed."""


@dataclass(frozen=True)
class Times:
    """Wall seconds of the repetitions that count, and how many were thrown away."""

    seconds: list[float]
    rejected: int

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def measure(run: Callable[[], object], repetitions: int, tries: int | None = None) -> Times:
    """Time `run` until there are as many undisturbed repetitions as asked for.

    Args:
        run: What to time; it works in this process and its threads.
        repetitions: How many to keep.
        tries: After how many to give up; by default four times as many, and three.

    Raises:
        TooBusy: other processes disturbed too many.
    """
    kept: list[float] = []
    rejected = 0
    while len(kept) < repetitions:
        if len(kept) + rejected >= (tries or 4 * repetitions + 3):
            raise TooBusy(f"{rejected} of {len(kept) + rejected} repetitions were disturbed by other processes")
        busy, own, start = _busy(), _own(), time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        others = (_busy() - busy) - (_own() - own)
        if others <= MOST * seconds + 2 / TICK:
            kept.append(seconds)
        else:
            rejected += 1
    return Times(kept, rejected)


def _busy() -> float:
    """Seconds that all cores of the machine have been busy."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(int, stat.readline().split()[1:])
    return (user + nice + system + irq + softirq + steal) / TICK


def _own() -> float:
    """Seconds of them that were ours."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

"""A prediction in words."""

from .predict import Prediction, gib


def breakdown(memory: Prediction) -> str:
    """What the peak is made of, largest first."""
    parts = sorted({**memory.parts, "context": memory.context}.items(), key=lambda part: -part[1])
    return ", ".join(f"{name} {gib(size)}" for name, size in parts if size >= 10 * 2**20)


def others(memory: Prediction) -> str:
    """The other processes on the card, by name; empty if there is none, or where that can't be seen."""
    found = [process for process in (memory.card.processes if memory.card else None) or () if process.memory]
    named = ", ".join(f"{each.name or 'a process'} (pid {each.pid}) {gib(each.memory or 0)}" for each in found)
    return f"; besides this run there are {named} on the card" if named else ""


def shape(memory: Prediction) -> str:
    """The batch in words."""
    return f"{memory.job.batch} x {memory.job.length:,} tokens"

"""Where the minutes of an evaluation go: each part has its share, and what doesn't fit is sampled, not skipped."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

# Parts of an evaluation and their shares of `evaluation.max_minutes`. Generation is what takes time.
SHARES = {"answers": 0.45, "held-out": 0.15, "general": 0.15, "edges": 0.15, "batches": 0.1}
GOLDEN = 0.6180339887498949  # whose multiples, modulo 1, lie evenly spread wherever one stops


@dataclass(frozen=True)
class Sampled(Generic[T]):
    """What was evaluated, of what was to be.

    Attributes:
        found: What was.
        wanted: How many there were to be.
    """

    found: Sequence[T]
    wanted: int

    def __iter__(self) -> Iterator[T]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    @property
    def note(self) -> str:
        """To be put behind a count: empty if nothing was left out."""
        left_out = len(self.found) < self.wanted
        return f" (a sample of {self.wanted}, in the time of evaluation.max_minutes)" if left_out else ""


@dataclass
class Budget:
    """The time of an evaluation.

    Attributes:
        seconds: What is left.
        shares: Shares of the parts that haven't been yet.
    """

    seconds: float
    shares: dict[str, float] = field(default_factory=lambda: dict(SHARES))

    @contextmanager
    def part(self, name: str) -> Iterator[float]:
        """Take a part's share, together with what parts before it have left over.

        Yields:
            When it is over, on the monotonic clock.
        """
        share = self.shares.pop(name, SHARES[name])  # a part that comes twice has its share twice
        began = time.monotonic()
        yield began + max(self.seconds, 0) * share / (share + sum(self.shares.values()))
        self.seconds -= time.monotonic() - began


def in_time(items: Sequence[T], size: int, deadline: float) -> Iterator[list[T]]:
    """Batches of up to `size` items until the deadline, at least one; wherever it stops they are spread over all."""
    order = spread(len(items))
    for start in range(0, len(order), size):
        if start and time.monotonic() > deadline:
            return
        yield [items[index] for index in order[start : start + size]]


def spread(total: int, wanted: int | None = None) -> list[int]:
    """Up to `wanted` of `total` indices, in an order of which every beginning is spread over the whole."""
    order = sorted(range(total), key=lambda index: index * GOLDEN % 1)
    return order[:wanted]

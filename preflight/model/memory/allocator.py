"""What the CUDA caching allocator makes of a sequence of allocations: memory in use, and memory it holds.

The rules are those of `c10/cuda/CUDACachingAllocator.cpp` with its defaults: sizes round up to 512 B; up to 1 MiB comes
from segments of 2 MiB, up to 10 MiB from segments of 20 MiB, and what is larger gets a segment of its own, rounded up
to 2 MiB; the smallest free block that is large enough is taken, and split if what is left over is worth keeping; freed
neighbours merge. One stream, and nothing is given back.
"""

import bisect
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

MIB = 2**20
ROUND, SMALL, SMALL_SEGMENT, MIDDLE, MIDDLE_SEGMENT, LARGE_ROUND = 512, MIB, 2 * MIB, 10 * MIB, 20 * MIB, 2 * MIB


class Usage(NamedTuple):
    """The peak of a run.

    Attributes:
        allocated: Bytes in blocks that are in use (`torch.cuda.max_memory_allocated`).
        reserved: Bytes that the allocator holds (`torch.cuda.max_memory_reserved`).
        moment: Index of the event at which `allocated` peaks.
        phases: The peak of `allocated` in each phase.
    """

    allocated: int
    reserved: int
    moment: int
    phases: dict[str, int]


def replay(events: Sequence[int], sizes: Sequence[int], phases: Sequence[tuple[int, str]] = ((0, "all"),)) -> Usage:
    """Run a ledger's events through the allocator.

    Args:
        events: Numbers of storages in order: `n` when one is allocated, `~n` when it is freed.
        sizes: Bytes by number.
        phases: Index of the event with which each phase begins, and its name; a phase can come more than once.
    """
    memory = Allocator()
    used: dict[int, Block] = {}  # by number
    allocated = peak = moment = 0
    found: dict[str, int] = {}
    for (start, phase), (end, _) in pairwise((*phases, (len(events), ""))):
        found.setdefault(phase, allocated)
        for index in range(start, end):
            event = events[index]
            if event >= 0 and sizes[event]:
                block = used[event] = memory.take(sizes[event])
                allocated += block.size
                found[phase] = max(found[phase], allocated)
                if allocated > peak:
                    peak, moment = allocated, index
            elif event < 0 and ~event in used:
                block = used.pop(~event)
                allocated -= block.size
                memory.give(block)
    return Usage(peak, memory.reserved, moment, found)


class Block:
    """A piece of a segment, with its neighbours in it."""

    __slots__ = ("after", "before", "free", "size", "small", "start")

    def __init__(self, start: int, size: int, small: bool) -> None:
        self.start, self.size, self.small, self.free = start, size, small, False
        self.before: Block | None = None
        self.after: Block | None = None


class Allocator:
    """The allocator's state: free blocks by size and address, and bytes in all its segments."""

    def __init__(self) -> None:
        self.reserved = 0
        self._next = 0  # address of the next segment
        self._blocks: dict[int, Block] = {}  # by address
        self._free: dict[bool, list[tuple[int, int]]] = {True: [], False: []}

    def take(self, wanted: int) -> Block:
        """A block of at least so many bytes."""
        size = -(-wanted // ROUND) * ROUND
        small = size <= SMALL
        pool = self._free[small]
        place = bisect.bisect_left(pool, (size, 0))
        block = self._claim(self._blocks[pool[place][1]]) if place < len(pool) else self._segment(size, small)
        left = block.size - size
        if left >= ROUND if small else left > SMALL:
            rest = Block(block.start + size, left, small)
            self._blocks[rest.start] = rest
            block.size = size
            _link(rest, block.after)
            _link(block, rest)
            self._release(rest)
        return block

    def give(self, block: Block) -> None:
        """Take a block back, and merge it with free neighbours."""
        for first, second in ((block, block.after), (block.before, block)):
            other = second if first is block else first
            if first is not None and second is not None and other is not None and other.free:
                self._claim(other)
                del self._blocks[second.start]
                first.size += second.size
                _link(first, second.after)
                block = first
        self._release(block)

    def _segment(self, size: int, small: bool) -> Block:
        large = MIDDLE_SEGMENT if size < MIDDLE else -(-size // LARGE_ROUND) * LARGE_ROUND
        block = Block(self._next, SMALL_SEGMENT if small else large, small)
        self._blocks[block.start] = block
        self._next += block.size + ROUND  # a gap: segments never merge
        self.reserved += block.size
        return block

    def _claim(self, block: Block) -> Block:
        block.free = False
        pool = self._free[block.small]
        del pool[bisect.bisect_left(pool, (block.size, block.start))]
        return block

    def _release(self, block: Block) -> None:
        block.free = True
        bisect.insort(self._free[block.small], (block.size, block.start))


def _link(first: Block, second: Block | None) -> None:
    first.after = second
    if second is not None:
        second.before = first

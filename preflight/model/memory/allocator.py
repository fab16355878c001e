"""What the CUDA caching allocator makes of a sequence of allocations: memory in use, and memory it holds.

The rules are those of `c10/cuda/CUDACachingAllocator.cpp` with its defaults: sizes round up to 512 B; up to 1 MiB comes
from segments of 2 MiB, up to 10 MiB from segments of 20 MiB, and what is larger gets a segment of its own, rounded up to
2 MiB; the smallest free block that is large enough is taken, and split if what is left over is worth keeping; freed
neighbours merge. One stream, nothing is ever given back.
"""

import bisect
from collections.abc import Sequence
from typing import NamedTuple

MIB = 2**20
ROUND, SMALL, SMALL_SEGMENT, MIDDLE, MIDDLE_SEGMENT, LARGE_ROUND = 512, MIB, 2 * MIB, 10 * MIB, 20 * MIB, 2 * MIB


class Usage(NamedTuple):
    """The peak of a run.

    Attributes:
        allocated: Bytes in blocks that are in use (`torch.cuda.max_memory_allocated`).
        reserved: Bytes that the allocator holds (`torch.cuda.max_memory_reserved`).
        moment: Index of the event at which `allocated` peaks.
    """

    allocated: int
    reserved: int
    moment: int


class _Block:
    __slots__ = ("before", "after", "free", "small", "size", "start")

    def __init__(self, start: int, size: int, small: bool) -> None:
        self.start, self.size, self.small, self.free = start, size, small, False
        self.before: _Block | None = None
        self.after: _Block | None = None


def replay(events: Sequence[int], sizes: Sequence[int]) -> Usage:
    """Run a ledger's events through the allocator.

    Args:
        events: Numbers of storages in order: `n` when one is allocated, `~n` when it is freed.
        sizes: Bytes by number.
    """
    pools: dict[bool, list[tuple[int, int]]] = {True: [], False: []}  # free blocks of each pool by size and address
    blocks: dict[int, _Block] = {}  # by address
    used: dict[int, _Block] = {}  # by number
    allocated = reserved = peak = moment = held = 0

    def put(block: _Block) -> None:
        block.free = True
        bisect.insort(pools[block.small], (block.size, block.start))

    def take(block: _Block) -> None:
        block.free = False
        pool = pools[block.small]
        del pool[bisect.bisect_left(pool, (block.size, block.start))]

    for index, event in enumerate(events):
        if event >= 0:
            if not sizes[event]:
                continue
            size = -(-sizes[event] // ROUND) * ROUND
            small = size <= SMALL
            pool = pools[small]
            place = bisect.bisect_left(pool, (size, 0))
            if place < len(pool):
                block = blocks[pool[place][1]]
                take(block)
            else:
                segment = SMALL_SEGMENT if small else MIDDLE_SEGMENT if size < MIDDLE else -(-size // LARGE_ROUND) * LARGE_ROUND
                block = _Block(held, segment, small)
                blocks[block.start] = block
                held += segment + LARGE_ROUND  # a gap: segments never merge
                reserved += segment
            left = block.size - size
            if left >= ROUND if small else left > SMALL:
                rest = _Block(block.start + size, left, small)
                blocks[rest.start] = rest
                rest.before, rest.after = block, block.after
                if block.after:
                    block.after.before = rest
                block.after, block.size = rest, size
                put(rest)
            used[event] = block
            allocated += block.size
            if allocated > peak:
                peak, moment = allocated, index
        elif (freed := used.pop(~event, None)) is not None:
            allocated -= freed.size
            if freed.after and freed.after.free:
                after = freed.after
                take(after)
                del blocks[after.start]
                freed.size, freed.after = freed.size + after.size, after.after
                if after.after:
                    after.after.before = freed
            if freed.before and freed.before.free:
                before = freed.before
                take(before)
                del blocks[freed.start]
                before.size, before.after = before.size + freed.size, freed.after
                if freed.after:
                    freed.after.before = before
                freed = before
            put(freed)
    return Usage(peak, reserved, moment)

"""The caching allocator's rules, and what must hold whatever comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.model.memory.allocator import MIB, replay


@pytest.mark.parametrize(
    ("sizes", "allocated", "reserved"),
    [
        ([1], 512, 2 * MIB),  # rounded up to 512 B, from a small segment
        ([MIB], MIB, 2 * MIB),
        ([MIB, MIB], 2 * MIB, 2 * MIB),  # two of them share it
        ([MIB + 1], MIB + 512, 20 * MIB),  # larger: from a segment of 20 MiB
        ([10 * MIB], 10 * MIB, 10 * MIB),
        ([10 * MIB + 1], 10 * MIB + 512, 12 * MIB),  # a segment of its own, of whole 2 MiB; the rest is split off
        ([11 * MIB + 1], 12 * MIB, 12 * MIB),  # a rest of less than 1 MiB isn't
        ([0], 0, 0),
    ],
)
def test_sizes_round_up_as_in_torch(sizes, allocated, reserved):
    usage = replay(range(len(sizes)), sizes)

    assert usage.reserved == reserved
    assert usage.allocated == allocated


def test_what_is_freed_is_used_again():
    events = [0, ~0, 1, ~1, 2]

    assert replay(events, [30 * MIB] * 3).reserved == 30 * MIB


def test_freed_neighbours_merge():
    """Two halves of a segment make room for one of the whole size."""
    events = [0, ~0, 1, 2, ~1, ~2, 3]

    assert replay(events, [40 * MIB, 20 * MIB, 20 * MIB, 40 * MIB]).reserved == 40 * MIB


def test_what_was_split_off_is_lost_to_larger_ones():
    """The reason for slack: a small tensor in the place of a large one, and the large one comes again."""
    events = [0, ~0, 1, 2]

    assert replay(events, [40 * MIB, 4 * MIB, 40 * MIB]).reserved == 80 * MIB


def test_each_phase_has_its_peak():
    usage = replay([0, 1, ~1, 2], [20 * MIB, 40 * MIB, 60 * MIB], [(0, "forward"), (3, "backward")])

    assert usage.phases == {"forward": 60 * MIB, "backward": 80 * MIB}
    assert usage.moment == 3


@st.composite
def histories(draw):
    """Sizes, and events in which each storage is freed after it was allocated, or never."""
    sizes = draw(st.lists(st.integers(0, 50 * MIB), min_size=1, max_size=30))
    events, live = [], []
    for number in range(len(sizes)):
        events.append(number)
        live.append(number)
        while live and draw(st.booleans()):
            events.append(~live.pop(draw(st.integers(0, len(live) - 1))))
    return events, sizes


@given(histories())
def test_the_allocator_holds_at_least_what_is_in_use(history):
    events, sizes = history
    usage = replay(events, sizes)
    live = peak = 0
    for event in events:
        live += sizes[event] if event >= 0 else -sizes[~event]
        peak = max(peak, live)

    assert peak <= usage.allocated <= usage.reserved
    assert usage.allocated <= peak + len(sizes) * MIB

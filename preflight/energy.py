"""The energy that a run takes, from the counters of its cards: what else a machine counts only root may read."""

import os

from preflight import driver

WH = 3600  # joules


def joules() -> float | None:
    """What this node's cards of the run have taken since the driver was loaded: two readings tell what was used.

    None where there is no card, or one of them has no counter: NVIDIA's have one since Volta.
    """
    import torch

    if not torch.cuda.is_available():
        return None
    # One process alone drives all the cards that it sees; of several, each drives the one of its number.
    here, seen = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    cards = range(min(here, seen) if here > 1 else seen)
    found = [driver.energy(f"GPU-{torch.cuda.get_device_properties(card).uuid}") for card in cards]
    known = [each for each in found if each is not None]
    return sum(known) if known and len(known) == len(found) else None

"""What a strategy makes of the memory of one process, by arithmetic on the traced parts."""

from collections.abc import Mapping

from preflight.strategy import Strategy

from .parts import ADAPTERS, GRADIENTS, OPTIMIZER, QUANTIZATION, WEIGHTS

# What is divided between the processes. The layer that is at work is gathered whole, with the next one on its way
# (FSDP and ZeRO-3 prefetch), which `gathered` adds.
DIVIDED: Mapping[str, frozenset[str]] = {
    "zero1": frozenset({OPTIMIZER}),
    "zero2": frozenset({OPTIMIZER, GRADIENTS}),
    "zero3": frozenset({OPTIMIZER, GRADIENTS, WEIGHTS, QUANTIZATION, ADAPTERS}),
    "fsdp": frozenset({OPTIMIZER, GRADIENTS, WEIGHTS, QUANTIZATION, ADAPTERS}),
    "naive": frozenset({OPTIMIZER, GRADIENTS, WEIGHTS, QUANTIZATION, ADAPTERS}),
}


def share(parts: Mapping[str, int], strategy: Strategy, *, layers: int, trained: int, cards: int) -> dict[str, int]:
    """The parts of one card.

    Args:
        parts: Bytes on one device that has everything.
        strategy: How the run is spread.
        layers: Layers of the model.
        trained: Bytes of all gradients, which DDP keeps a second time in its buckets.
        cards: Cards that `naive` spreads the layers over.
    """
    ways = cards if strategy.kind == "naive" else strategy.world
    divided = DIVIDED.get(strategy.kind, frozenset())
    found = {kind: -(-size // ways) if kind in divided and ways > 1 else size for kind, size in parts.items()}
    if ways > 1 and strategy.kind in ("fsdp", "zero3"):
        found["gathered layers"] = 2 * parts.get(WEIGHTS, 0) // max(layers, 1)
    if ways > 1 and strategy.kind in ("ddp", "zero1", "zero2"):
        found["buckets"] = trained
    return found

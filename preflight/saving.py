"""What a run saves, in words, and what an earlier part of it saved."""

import contextlib
import json
from pathlib import Path

from preflight.cost import Sizes
from preflight.findings import counted

GIB = 2**30


def saved_before(output: Path) -> int:
    """Bytes of the checkpoints that a run which was broken off goes on from; those of a finished one are set aside."""
    found = 0
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if json.loads((output / "run.json").read_bytes()).get("finished") is False:  # written by the trainer
            for file in output.glob("checkpoint-*/**/*"):
                found += file.stat().st_size
    return found


def in_words(sizes: Sizes, kept: int) -> str:
    """What is saved, part by part."""
    parts = {"the model": sizes.model, "the merged model": sizes.merged, "its GGUF file": sizes.exported}
    each = f"{counted(kept, 'checkpoint')} of {size(sizes.checkpoint)}"
    return ", ".join([each, *(f"{name} {size(part)}" for name, part in parts.items() if part)])


def how_to_fit(sizes: Sizes, needed: int, free: int) -> str:
    """How many checkpoints fit. Of a limit, one more is written before the oldest goes; then comes the model."""
    affordable = (free - sizes.after) // sizes.checkpoint - 1
    elsewhere = f"free {size(needed)}, or write to a larger disk"
    if affordable > 0:
        return f"Set training.save_total_limit: {affordable}, or {elsewhere}."
    return f"{elsewhere[0].upper()}{elsewhere[1:]}."


def size(count: int) -> str:
    """`3.2 GiB`; MiB below one."""
    return f"{count / GIB:.3g} GiB" if count >= GIB else f"{count / 2**20:.3g} MiB"

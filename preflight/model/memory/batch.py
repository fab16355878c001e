"""The batch that takes most memory: the longest rows together, as they will meet sooner or later."""

from dataclasses import dataclass
from typing import Any

from preflight.config import Config
from preflight.data.store import Split


@dataclass(frozen=True, slots=True)
class Batch:
    """The shape of a micro batch.

    Attributes:
        rows: Rows; one if rows are laid end to end instead of padded.
        length: Tokens of a row, padding included.
        supervised: Tokens that are learned.
        masked: Whether attention needs a mask: rows of several lengths, or several samples in a row.
    """

    rows: int
    length: int
    supervised: int
    masked: bool


def longest_batch(config: Config, split: Split) -> Batch:
    """The longest batch that the data can make."""
    import numpy as np
    import pyarrow.compute as pc

    size = int(config.training_value("per_device_train_batch_size"))
    packed = split.fed.name == "packed.arrow"
    lengths = np.sort(pc.list_value_length(split.dataset.data.table["input_ids"]).to_numpy())[-size:]
    # A pack holds samples of all kinds: as if all of it were learned.
    learned: Any = lengths if packed else np.sort(split.profile["supervised"].to_numpy())[-size:]
    flat = config.training_value("padding_free") or (packed and config.training_value("packing_strategy") != "wrapped")
    if flat:
        return Batch(1, int(lengths.sum()), int(learned.sum()), masked=True)
    given = str(config.training_value("pad_to_multiple_of"))  # "auto" pads to no multiple on a GPU, and TRL takes "8"
    multiple = int(given) if given.isdigit() and int(given) else 1
    longest = -(-int(lengths[-1]) // multiple) * multiple
    return Batch(len(lengths), longest, int(learned.sum()), masked=bool(lengths[0] != longest))

"""Text hygiene: what does not belong into the text of examples. One pass over a split, made on first use and kept.

`turn` is what is looked at; `answers`, `calls`, `markers`, `residue`, `personal`, `secrets` and `language` each know
some kinds of faults; `sweep` takes them through the data; `result` is what checks read.
"""

from typing import IO

from preflight.config import Config
from preflight.data.hygiene import result
from preflight.data.hygiene.result import Hit, Hygiene
from preflight.data.store import Split
from preflight.model.tokenizer import Tokenizer

__all__ = ["Hit", "Hygiene", "hygiene_of"]


def hygiene_of(config: Config, train: Split, tokenizer: Tokenizer, screen: IO[str] | None = None) -> Hygiene:
    """The hygiene of the training split: read if this version has looked at it, else found and kept.

    What decides it is in the key of the prepared data, in whose folder it lies.
    """
    if (known := result.read(train.folder)) is not None:
        return known
    from preflight.data.hygiene.sweep import look

    found = look(config, train.rows, tokenizer.special.pattern, screen)
    result.write(found, train.folder)
    return found

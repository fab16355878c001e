"""What a pass over all rows of a split needs, whichever it is."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TypeVar

T = TypeVar("T")


def with_bar(rows: Iterable[T], words: str, screen: IO[str] | None, total: int | None = None) -> Iterator[T]:
    """The rows, with a bar that shows how far they are once that takes more than two seconds.

    Args:
        rows: What to go through.
        words: What is being done.
        screen: Where the bar goes, if it is a terminal.
        total: How many rows there are, if that is known.
    """
    from tqdm import tqdm

    shown = screen is not None and screen.isatty()
    return iter(tqdm(rows, words, total, file=screen, delay=2, unit=" rows", leave=False, disable=not shown))


@contextmanager
def few_collections() -> Iterator[None]:
    """Rows are trees without cycles: looking for some every 700 objects takes a tenth of the time of a pass."""
    before = gc.get_threshold()
    gc.set_threshold(100_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)

"""The examples of a split, one after the other, straight from the user's files."""

from collections.abc import Callable, Iterable, Iterator
from reprlib import repr as brief
from typing import Any

import numpy as np
import numpy.typing as npt

from preflight import digests
from preflight.config import Config
from preflight.data import readers, shapes, store
from preflight.data.readers import Broken, Row
from preflight.data.shapes import Example, Message, ShapeError

Groups = npt.NDArray[np.uint64]
_KNOWN: dict[str, Groups] = {}  # of one content at a time
MAX_EXTRA = 2.0  # how far above the wanted share a validation set of whole groups may come out


def rows(config: Config, split: str) -> Iterator[tuple[int, Row | Broken]]:
    """Every row of a split with its number among all rows of the files it comes from, and what can't be read.

    Args:
        config: The run's config.
        split: `train` or `validation`. With `data.validation_split` both come from the files of `data.train`.
    """
    share = config.data.validation_split
    if share is None:
        yield from enumerate(_all(config, split))
        return
    held_out = _hold_out(_groups(config), share, int(config.training_value("seed")))
    for number, row in enumerate(_all(config, "train")):
        if held_out[number] == (split == "validation"):
            yield number, row


def examples(config: Config, split: str) -> Iterator[tuple[int, Row, Example]]:
    """The good rows of a split in normal form: number, row, example. Rows that aren't are judged elsewhere."""
    normal = normaliser(config)
    for number, row in rows(config, split):
        if isinstance(row, Row):
            try:
                yield number, row, normal(row)
            except ShapeError:
                continue


def normaliser(config: Config) -> Callable[[Row], Example]:
    """What puts a row of the run in normal form; it raises ShapeError for one that has no known shape or breaks it."""
    text_field = config.training_value("dataset_text_field")
    known = config.data.format

    def normal(row: Row) -> Example:
        value: dict[str, Any] = row.value
        if text_field != "text" and text_field in value:
            value = {**value, "text": value[text_field]}
        return shapes.normalise(value, known)

    return normal


def task_of(row: Row, config: Config) -> str | None:
    """The task type that `data.task_field` gives the row; None without one."""
    task = row.value.get(config.data.task_field) if config.data.task_field else None
    return task if task is None or isinstance(task, str) else brief(task)


def asked(example: Example) -> str:
    """The words that the last answer answers: all that stands before it. Text without a prompt is its own."""
    if not example.messages:
        return example.prompt or example.completion
    return _said(example.messages[: _last_answer(example)] or example.messages)


def answered(example: Example) -> str:
    """The words of the last answer."""
    if not example.messages:
        return example.completion
    return _said(example.messages[_last_answer(example) :])


def _last_answer(example: Example) -> int:
    """Place of the last assistant message; the number of messages if there is none."""
    roles = [message["role"] for message in example.messages]
    return len(roles) - 1 - roles[::-1].index("assistant") if "assistant" in roles else len(roles)


def _said(messages: Iterable[Message]) -> str:
    return "\n".join(f"{said['role']} {said['content']} {said.get('tool_calls') or ''}" for said in messages)


def _all(config: Config, split: str) -> Iterator[Row | Broken]:
    files, problems = store.split_files(config).get(split, ([], []))
    names = store.names(config)
    yield from problems
    for file in files:
        yield from readers.read(file, names[file])


def _groups(config: Config) -> Groups:
    """For each row of the training files what it must not be parted from: rows that ask the same are one group.

    Kept for the same content, since every pass over either split asks for it, and it takes a pass of its own.
    """
    files, _ = store.split_files(config)["train"]
    ways = [config.data.train, config.data.format, config.training_value("dataset_text_field")]
    key = digests.of_json([*map(digests.of_file, files), *ways])
    if key not in _KNOWN:
        _KNOWN.clear()
        _KNOWN[key] = _read_groups(config)
    return _KNOWN[key]


def _read_groups(config: Config) -> Groups:
    groups: list[int] = []
    normal = normaliser(config)
    for number, row in enumerate(_all(config, "train")):
        try:
            groups.append(digests.of_words(asked(normal(row))) if isinstance(row, Row) else number)
        except ShapeError:
            groups.append(number)
    return np.array(groups, dtype=np.uint64)


def _hold_out(groups: Groups, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which rows to hold out: about `share` of them in whole groups, drawn by the seed, so it is the same each time.

    Parting rows that ask the same would let the model see the answers to its validation. Where whole groups can't come
    near the share (all rows ask the same, say), rows are drawn one by one.
    """
    count = len(groups)
    wanted = min(max(round(count * share), 1), max(count - 1, 0))
    names, members, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    taken = int(np.searchsorted(np.cumsum(sizes[order]), wanted, side="left")) + 1
    drawn = np.zeros(len(names), dtype=bool)
    drawn[order[:taken]] = True
    held_out: npt.NDArray[np.bool_] = drawn[members]
    if not 0 < held_out.sum() <= max(MAX_EXTRA * wanted, 1) or held_out.all():
        held_out = np.zeros(count, dtype=bool)
        held_out[np.random.default_rng(seed).permutation(count)[:wanted]] = True
    return held_out

"""The sample that a person is to look at, and what it is a sample of."""

import hashlib

import numpy as np
import numpy.typing as npt

from preflight.config import Config
from preflight.data import readers, store
from preflight.data.store import Prepared, Split
from preflight.review import record
from preflight.review.record import Data, File


def splits(config: Config, prepared: Prepared) -> list[Split]:
    """The splits that the rows of the training files went to.

    A part that `data.validation_split` holds out is of the same data, and which part it is depends on settings. A
    review is of all of it, so that it still counts with another seed.
    """
    held_out = prepared.validation if config.data.validation_split else None
    return [prepared.train, *([held_out] if held_out else [])]


def rows_of(config: Config, prepared: Prepared) -> npt.NDArray[np.int64]:
    """The numbers of all rows that may be drawn."""
    return np.concatenate([split.profile["row"].to_numpy(dtype=np.int64) for split in splits(config, prepared)])


def data_of(config: Config, prepared: Prepared) -> Data:
    """What the rows are drawn from: nothing in it depends on settings that only matter for training."""
    paths, _ = store.split_files(config)["train"]
    # By place: prepared data may have been made where the project lay in another folder.
    files = [
        File(name=readers.stable_name(config.folder, path), sha256=source["sha256"])
        for path, source in zip(paths, prepared.sources, strict=False)
    ]
    parts = splits(config, prepared)
    shapes = sorted({str(shape) for split in parts for shape in split.profile["shape"].unique()})
    text_field = str(config.training_value("dataset_text_field")) if "text" in shapes else None
    return record.data(files, shapes, text_field, sum(split.rows for split in parts))


def draw(data: Data, seed: int, rows: npt.NDArray[np.int64], count: int) -> list[int]:
    """Rows drawn at random, in the order of the draw: the same each time, and the first of a larger sample.

    Every row number has a number of its own in a stream that the digest and the seed decide; the smallest are drawn.
    numpy guarantees the streams of its bit generators for good, unlike those of its and Python's shuffles.
    """
    key = int.from_bytes(hashlib.sha256(f"{data.digest}:{seed}".encode()).digest()[:16], "big")
    stream = np.random.Philox(key=key).random_raw(int(rows.max(initial=-1)) + 1)
    order = np.argsort(stream[rows])
    return [int(row) for row in rows[order[:count]]]

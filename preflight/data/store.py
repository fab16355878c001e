"""Where prepared data lies, what it is keyed by, and what it holds once it is opened.

Layout of `<artefacts>/prepared/<key>/`: `meta.json`, and for each split a folder with `data.arrow` (input_ids, labels,
length, row), `profile.parquet` (one row an example, see PROFILE), `flagged.parquet` (what a flag of the profile was set
for), `near.parquet` (near duplicates) and, when the run packs, `packed.arrow`. The key is a digest of everything that
decides the content, so prepared data can't be stale.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from preflight import digests
from preflight.config import Config
from preflight.data import fidelity, readers
from preflight.data.readers import Broken
from preflight.data.render import Rules
from preflight.findings import not_available
from preflight.model import files

VERSION = 5  # raise it whenever the same input would give other files

DATA = pa.schema(
    [("input_ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32())), ("length", pa.int32()), ("row", pa.int64())]
)
PROFILE = pa.schema(
    [
        ("row", pa.int64()),  # index among all rows of the split's files
        ("where", pa.string()),  # file:line
        ("shape", pa.string()),
        ("task", pa.string()),  # value of data.task_field; null without one
        ("roles", pa.string()),  # initials of the roles in order, such as "sua"
        ("length", pa.int32()),  # tokens before truncation
        ("kept", pa.int32()),  # tokens after truncation
        ("answer", pa.int32()),  # supervised tokens before truncation
        ("supervised", pa.int32()),  # supervised tokens after truncation
        ("head", pa.int32()),  # tokens before the first turn that is neither system nor developer
        ("example_hash", pa.int64()),  # of the rendered text
        ("prompt_hash", pa.int64()),  # of the words before the last answer, in lower case
        ("answer_hash", pa.int64()),  # of the words of the last answer, in lower case
        ("ends_turn", pa.bool_()),  # each learned turn ends with a token that stops a generation
        ("matches", pa.bool_()),  # the learned ids decode to exactly the text that should be learned
        ("prefix_ok", pa.bool_()),  # the template renders a turn the same when others follow
        ("chars", pa.int32()),  # characters of the rendered text
        ("said", pa.int32()),  # characters of it that the assistant says
        ("script", pa.string()),  # of the last message: Latin, Cyrillic, Han, …, or code
        ("asks_nothing", pa.bool_()),  # a user's turn is blank
        ("declines", pa.bool_()),  # the last answer begins as one that turns the user down
        ("flags", pa.int64()),  # a bit for each of `fidelity.FLAGS` that is set
    ]
)
FLAGGED = pa.schema([("row", pa.int64()), ("flag", pa.string()), ("text", pa.string())])


@dataclass(frozen=True)
class Split:
    """One split of the prepared data.

    Attributes:
        name: `train` or `validation`.
        folder: Where its files are.
        rows: Examples prepared.
        problems: Rows that couldn't be, each with where, kind (`unreadable`, `shape` or `template`) and problem.
        dropped: How many rows have a problem, which may be more than are listed.
    """

    name: str
    folder: Path
    rows: int
    problems: tuple[Mapping[str, str], ...]
    dropped: int

    @cached_property
    def profile(self) -> Any:
        """The profile as a pandas frame, one row an example, columns as in PROFILE."""
        return pq.read_table(self.folder / "profile.parquet").to_pandas()

    def flagged(self, flag: str) -> Any:
        """The profile of the rows with a flag of `fidelity.FLAGS`, and `text`: what it was set for, for the first."""
        bit = 1 << fidelity.FLAGS.index(flag)
        texts = pq.read_table(self.folder / "flagged.parquet", filters=[("flag", "==", flag)]).to_pandas()
        found = self.profile[(self.profile["flags"] & bit) != 0]
        return found.merge(texts[["row", "text"]], how="left", on="row").set_index(found.index)

    @cached_property
    def near(self) -> Any:
        """Near duplicates as a pandas frame: row, the row of the training split that it is like, and similarity.

        `other` is an earlier row for the training split itself. The similarity is the estimated share of runs of tokens
        that both have, 0.8 and more.
        """
        return pq.read_table(self.folder / "near.parquet").to_pandas()

    @cached_property
    def dataset(self) -> Any:
        """The memory-mapped `datasets.Dataset` that the trainer feeds: packed rows when the run packs."""
        from datasets import Dataset

        return Dataset.from_file(str(self.fed))

    @property
    def fed(self) -> Path:
        """The Arrow file that the trainer feeds."""
        packed = self.folder / "packed.arrow"
        return packed if packed.exists() else self.folder / "data.arrow"

    @cached_property
    def examples(self) -> Any:
        """The memory-mapped dataset of single examples, packed or not: columns as in DATA."""
        from datasets import Dataset

        return Dataset.from_file(str(self.folder / "data.arrow"))

    def of_kind(self, *kinds: str) -> list[Mapping[str, str]]:
        return [problem for problem in self.problems if problem["kind"] in kinds]


@dataclass(frozen=True)
class Prepared:
    """All splits of a run's prepared data.

    Attributes:
        key: What the content was made from, as a digest.
        folder: Where it lies.
        splits: By name; `validation` only if the config has one.
        sources: For each data file of the user: name, sha256 and rows.
        engine: What turned text into ids, with its version; and why not the one that was asked for, if it wasn't.
    """

    key: str
    folder: Path
    splits: Mapping[str, Split]
    sources: tuple[Mapping[str, Any], ...]
    engine: str

    @property
    def train(self) -> Split:
        return self.splits["train"]

    @property
    def validation(self) -> Split | None:
        return self.splits.get("validation")


def rules_of(config: Config) -> Rules:
    """The settings that decide labels, with TRL's defaults where the config is silent."""
    return Rules(
        assistant_only_loss=bool(config.training_value("assistant_only_loss")),
        completion_only_loss=config.training_value("completion_only_loss"),
        max_length=config.training_value("max_length"),
        truncation_mode=str(config.training_value("truncation_mode")),
    )


def packing_of(config: Config, split: str) -> Mapping[str, Any] | None:
    """How to pack a split, or None: TRL's `packing_strategy`, and the seed if it is to be shuffled before.

    Raises:
        NotAvailable: there is no length to pack to.
    """
    own = config.training_value("eval_packing") if split == "validation" else None
    if not (config.training_value("packing") if own is None else own):
        return None
    if config.training_value("max_length") is None:
        not_available("training.packing needs training.max_length, the length to pack to; set it, or packing: false")
    shuffled = config.training_value("shuffle_dataset")
    return {
        "strategy": config.training_value("packing_strategy"),
        "seed": config.training_value("seed") if shuffled else None,
    }


def split_files(config: Config) -> dict[str, tuple[list[Path], list[Broken]]]:
    """The files of each split that the config names, and the names that lead nowhere."""
    named = {"train": config.data.train, "validation": config.data.validation}
    return {split: readers.find_files(config.folder, paths, split) for split, paths in named.items() if paths}


def names(config: Config) -> dict[Path, str]:
    """What findings call each data file."""
    return readers.names(path for found, _ in split_files(config).values() for path in found)


def key_of(config: Config) -> str:
    """The digest that prepared data is keyed by: the bytes of the data and tokenizer files, and the settings."""
    named = {
        split: [(readers.stable_name(config.folder, path), digests.of_file(path)) for path in found]
        + [p.problem for p in problems]
        for split, (found, problems) in split_files(config).items()
    }
    return digests.of_json(
        {
            "version": VERSION,
            "files": named,
            "tokenizer": digests.of_files(files.tokenizer_files(config)),
            "tokens": [config.training.get("eos_token"), config.training.get("pad_token")],
            # Not in the tokenizer's files, and the profile depends on them.
            "stops": sorted(files.stop_ids(config, None)),
            "rules": asdict(rules_of(config)),
            "packing": [packing_of(config, split) for split in ("train", "validation")],
            "format": config.data.format,
            "text_field": config.training_value("dataset_text_field"),
            "task_field": config.data.task_field,
            "engine": config.data.engine,
            "validation_split": config.data.validation_split,
            "seed": config.training_value("seed"),
        }
    )


def folder_of(config: Config) -> Path:
    """Where the prepared data of this config lies, or would lie. The postflight reads what the preflight wrote."""
    return config.artefacts("preflight") / "prepared" / key_of(config)[:16]


def is_whole(folder: Path) -> bool:
    """Whether everything that `prepare` wrote is there, byte for byte."""
    try:
        splits = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["splits"]
        return all(
            digests.of_file(folder / split / name) == sha256
            for split, kept in splits.items()
            for name, sha256 in kept["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def open_prepared(folder: Path) -> Prepared:
    """Open what `prepare` wrote.

    Raises:
        FileNotFoundError: nothing was prepared there.
    """
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    splits = {
        name: Split(name, folder / name, split["rows"], tuple(split["problems"]), split["dropped"])
        for name, split in meta["splits"].items()
    }
    return Prepared(meta["key"], folder, splits, tuple(meta["sources"]), meta["engine"])

"""Prepared data: every example rendered, tokenised and labelled once, kept as the Arrow files that the trainer opens.

Layout of `<artefacts>/prepared/<key>/`: `meta.json`, and for each split a folder with `data.arrow` (input_ids, labels,
length, row), `profile.parquet` (one row an example, see PROFILE) and, when the run packs, `packed.arrow`. The key is a
digest of everything that decides the content, so prepared data can't be stale.
"""

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from reprlib import repr as brief
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from preflight import digests
from preflight.config import Config
from preflight.data import label, readers, shapes
from preflight.data.label import Labelled, Rules
from preflight.data.readers import Broken, Row
from preflight.findings import not_available
from preflight.model import files
from preflight.model.tokenizer import Tokenizer

VERSION = 2  # raise it whenever the same input would give other files
BATCH = 512
MAX_PROBLEMS = 200  # of one kind

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
        ("example_hash", pa.string()),
        ("prompt_hash", pa.string()),
        ("ends_turn", pa.bool_()),  # each learned turn ends with a token that stops a generation
        ("matches", pa.bool_()),  # the learned ids decode to exactly the text that should be learned
        ("prefix_ok", pa.bool_()),  # the template renders a turn the same when others follow
        ("double_bos", pa.bool_()),
    ]
)


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
    """

    key: str
    folder: Path
    splits: Mapping[str, Split]
    sources: tuple[Mapping[str, Any], ...]

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
    return {split: readers.find_files(config.folder, paths) for split, paths in named.items() if paths}


def key_of(config: Config) -> str:
    """The digest that prepared data is keyed by: the bytes of the data and tokenizer files, and the settings."""
    named = {
        split: [(str(path), digests.of_file(path)) for path in found] + [problem.problem for problem in problems]
        for split, (found, problems) in split_files(config).items()
    }
    return digests.of_json(
        {
            "version": VERSION,
            "files": named,
            "tokenizer": digests.of_files(files.tokenizer_files(config)),
            "tokens": [config.training.get("eos_token"), config.training.get("pad_token")],
            "stops": sorted(
                files.stop_ids(config, None)
            ),  # not in the tokenizer's files, and the profile depends on it
            "rules": asdict(rules_of(config)),
            "packing": [packing_of(config, split) for split in ("train", "validation")],
            "format": config.data.format,
            "text_field": config.training_value("dataset_text_field"),
            "task_field": config.data.task_field,
            "validation_split": config.data.validation_split,
            "seed": config.training_value("seed"),
        }
    )


def folder_of(config: Config) -> Path:
    """Where the prepared data of this config lies, or would lie. The postflight reads what the preflight wrote."""
    return config.artefacts("preflight") / "prepared" / key_of(config)[:16]


def prepare(config: Config, tokenizer: Tokenizer) -> Prepared:
    """The run's prepared data: opened if it is there, made if not. Safe to call from several processes at once."""
    folder = folder_of(config)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / ".lock"):
        if not (folder / "meta.json").exists():
            _make(config, tokenizer, folder)
    return open_prepared(folder)


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
    return Prepared(meta["key"], folder, splits, tuple(meta["sources"]))


def _make(config: Config, tokenizer: Tokenizer, folder: Path) -> None:
    """Prepare into a folder beside the final one and move it into place, so that a half-made one is never found."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    sources: list[dict[str, Any]] = []
    splits: dict[str, Any] = {}
    named = split_files(config)
    held_out = config.data.validation_split
    try:
        for split, (found, problems) in named.items():
            rows: Iterable[tuple[int, Row | Broken]] = enumerate(_read(found, problems, sources))
            if split == "train" and held_out:
                rows, later = _hold_out(list(rows), held_out, config.training_value("seed"))
                splits["validation"] = _write_split(config, tokenizer, later, temporary / "validation")
            splits[split] = _write_split(config, tokenizer, rows, temporary / split)
        meta = {"key": key_of(config), "version": VERSION, "splits": splits, "sources": sources}
        (temporary / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
        for stale in folder.parent.iterdir():  # of other settings, or half-made by a process that was killed
            if stale.is_dir() and stale != temporary:
                shutil.rmtree(stale, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(found: list[Path], problems: list[Broken], sources: list[dict[str, Any]]) -> Iterator[Row | Broken]:
    yield from problems
    for path in found:
        rows = 0
        for item in readers.read(path):
            rows += isinstance(item, Row)
            yield item
        sources.append({"path": str(path), "sha256": digests.of_file(path), "rows": rows})


def _hold_out(rows: list[tuple[int, Any]], share: float, seed: int) -> tuple[list[Any], list[Any]]:
    """The rows to train on and the rows to hold out, at least one of each where there are two.

    The choice is drawn from a row's number and the seed, so it is the same each time.
    """
    drawn = sorted(rows, key=lambda row: random.Random(f"{seed}:{row[0]}").random())
    count = min(max(round(len(rows) * share), 1), max(len(rows) - 1, 0))
    chosen = {number for number, _ in drawn[:count]}
    return [row for row in rows if row[0] not in chosen], [row for row in rows if row[0] in chosen]


def _write_split(
    config: Config, tokenizer: Tokenizer, numbered: Iterable[tuple[int, Row | Broken]], folder: Path
) -> dict[str, Any]:
    folder.mkdir(parents=True)
    packing = packing_of(config, folder.name)
    rules = rules_of(config)
    # TRL leaves the cutting to the packer: bfd cuts the end of longer rows off, the others make more rows of it.
    if packing:
        cuts = packing["strategy"] == "bfd"
        rules = replace(rules, max_length=rules.max_length if cuts else None, truncation_mode="keep_start")
    problems: list[dict[str, str]] = []
    listed: Counter[str] = Counter()
    dropped = total = 0
    numbered = iter(numbered)
    with (
        pa.OSFile(str(folder / "data.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, DATA) as data,
        pq.ParquetWriter(folder / "profile.parquet", PROFILE) as profile,
    ):
        while batch := list(islice(numbered, BATCH)):
            prepared, broken = _prepare_batch(batch, config, tokenizer, rules)
            dropped += len(broken)
            for problem in broken:
                listed[problem["kind"]] += 1
                problems += [problem] if listed[problem["kind"]] <= MAX_PROBLEMS else []
            total += len(prepared)
            data.write_batch(_data_batch(prepared))
            profile.write_table(
                pa.Table.from_pylist([_profile_row(item, config, tokenizer) for item in prepared], PROFILE)
            )
    if packing and total:
        _pack(folder, packing, rules_of(config).max_length)
    return {"rows": total, "problems": problems, "dropped": dropped}


@dataclass(frozen=True, slots=True)
class _Item:
    number: int
    row: Row
    example: shapes.Example
    rendered: label.Rendered
    labelled: Labelled


def _prepare_batch(
    batch: list[tuple[int, Row | Broken]], config: Config, tokenizer: Tokenizer, rules: Rules
) -> tuple[list[_Item], list[dict[str, str]]]:
    problems: list[dict[str, str]] = []
    text_field = config.training_value("dataset_text_field")
    ready: list[tuple[int, Row, shapes.Example, label.Rendered]] = []
    for number, row in batch:
        if isinstance(row, Broken):
            problems.append({"where": row.where, "kind": "unreadable", "problem": row.problem})
            continue
        value = {**row.value, "text": row.value[text_field]} if text_field in row.value else row.value
        shape = shapes.detect(value) if config.data.format == "auto" else config.data.format
        try:
            if shape is None:
                columns = readers.shorten(", ".join(value)) or "none"
                raise shapes.ShapeError(f"no known shape; columns: {columns}; {shapes.nearest(value)}")
            example = shapes.normalise(value, shape)
        except shapes.ShapeError as error:
            problems.append({"where": row.where, "kind": "shape", "problem": str(error)})
            continue
        try:
            ready.append((number, row, example, label.render(example, tokenizer, rules)))
        except label.RenderError as error:
            problems.append({"where": row.where, "kind": "template", "problem": str(error)})
    items: dict[int, _Item] = {}
    for plain in (False, True):
        part = [entry for entry in ready if plain is not bool(entry[2].messages)]
        if part:
            labelled = label.encode([entry[3] for entry in part], tokenizer, rules, plain=plain)
            items |= {entry[0]: _Item(*entry, done) for entry, done in zip(part, labelled, strict=True)}
    return [items[number] for number in sorted(items)], problems


def _data_batch(items: list[_Item]) -> pa.RecordBatch:
    arrays = [
        pa.array([item.labelled.ids for item in items], DATA.field("input_ids").type),
        pa.array([item.labelled.labels for item in items], DATA.field("labels").type),
        pa.array([len(item.labelled.ids) for item in items], pa.int32()),
        pa.array([item.number for item in items], pa.int64()),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=DATA)


def _profile_row(item: _Item, config: Config, tokenizer: Tokenizer) -> dict[str, Any]:
    done, example = item.labelled, item.example
    bos = tokenizer.hf.bos_token_id
    task = item.row.value.get(config.data.task_field) if config.data.task_field else None
    return {
        "row": item.number,
        "where": item.row.where,
        "shape": example.shape,
        "task": task if task is None or isinstance(task, str) else brief(task),
        "roles": "".join(message["role"][0] for message in example.messages) or "t",
        "length": done.length,
        "kept": len(done.ids),
        "answer": done.answer,
        "supervised": int((done.labels != label.IGNORE).sum()),
        "example_hash": digests.of_json(item.rendered.text),
        "prompt_hash": digests.of_json(example.asked),
        "ends_turn": done.ends,
        "matches": done.matches,
        "prefix_ok": item.rendered.prefix_ok,
        "double_bos": bool(bos is not None and len(done.ids) > 1 and done.ids[0] == bos and done.ids[1] == bos),
    }


def _pack(folder: Path, packing: Mapping[str, Any], max_length: int | None) -> None:
    """Pack with TRL's own packer, which keeps the samples apart by `seq_lengths`."""
    from datasets import Dataset
    from trl import pack_dataset

    dataset = Dataset.from_file(str(folder / "data.arrow")).select_columns(["input_ids", "labels"])
    if packing["seed"] is not None:
        dataset = dataset.shuffle(seed=packing["seed"])
    packed = pack_dataset(dataset, max_length, packing["strategy"])
    table = packed.with_format("arrow")[:]
    with pa.OSFile(str(folder / "packed.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    for cache in folder.glob("cache-*"):  # what `datasets` kept on its way
        cache.unlink()

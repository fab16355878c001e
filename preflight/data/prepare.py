"""Preparing: every example rendered, tokenised and labelled once, kept as the Arrow files that the trainer opens.

Rendering is Python and tokenising is Rust: a thread tokenises a batch while the next ones are rendered.
"""

import json
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from preflight import digests
from preflight.config import Config
from preflight.data import engine as engines
from preflight.data import fidelity, label, layout, profile, similar, source, store
from preflight.data.batch import Batch
from preflight.data.engine import Engine
from preflight.data.label import Tokens
from preflight.data.passes import few_collections, with_bar
from preflight.data.problems import MAX_PROBLEMS
from preflight.data.readers import Broken, Row
from preflight.data.render import Rendered, RenderError, Rules
from preflight.data.shapes import Example, ShapeError
from preflight.data.store import DATA, FLAGGED, PROFILE, Prepared
from preflight.model.tokenizer import Tokenizer

BATCH = 1024
AHEAD = 3  # batches that wait to be tokenised
MAX_EXCERPTS = 200  # of one flag

Ready = tuple[int, Row, Example, Rendered]
Way = Callable[[Row], tuple[Example, Rendered]]


def prepare(config: Config, tokenizer: Tokenizer, screen: IO[str] | None = None) -> Prepared:
    """The run's prepared data: opened if it is there, made if not. Safe to call from several processes at once.

    Args:
        config: The run's config.
        tokenizer: The run's tokenizer.
        screen: Where a bar shows how far it is, once that takes more than two seconds.
    """
    folder = store.folder_of(config)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / ".lock"):
        if not store.is_whole(folder):
            shutil.rmtree(folder, ignore_errors=True)
            _make(config, tokenizer, folder, screen)
        shutil.copyfile(folder / "train" / "profile.parquet", folder.parent.parent / "profile.parquet")
    return store.open_prepared(folder)


def _make(config: Config, tokenizer: Tokenizer, folder: Path, screen: IO[str] | None) -> None:
    """Prepare into a folder beside the final one and move it into place, so that a half-made one is never found."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    making = _Making(config, tokenizer, screen)
    validation = temporary / "validation" if config.data.validation or config.data.validation_split else None
    folders = [temporary / "train", *([validation] if validation else [])]
    try:
        with few_collections():
            splits = {part.name: _write_split(making, part) for part in folders}
        similar.write(temporary / "train", validation)
        for part in folders:
            splits[part.name]["files"] = {path.name: digests.of_file(path) for path in sorted(part.iterdir())}
        meta = {
            "key": store.key_of(config),
            "version": store.VERSION,
            "engine": str(making.engine or "no engine"),
            "splits": splits,
            "sources": _sources(config, making.rows),
        }
        (temporary / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
        for stale in folder.parent.iterdir():  # of other settings, or half-made by a process that was killed
            if stale.is_dir() and stale != temporary:
                shutil.rmtree(stale, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sources(config: Config, rows: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    """The data files with their rows, which with `data.validation_split` may have gone to either split."""
    parts = ("train", "validation") if config.data.validation_split else ("train",)
    names = store.names(config)
    return [
        {
            "path": str(path),
            "sha256": digests.of_file(path),
            "rows": sum(rows[part, names[path]] for part in (parts if split == "train" else (split,))),
        }
        for split, (paths, _) in store.split_files(config).items()
        for path in paths
    ]


@dataclass
class _Making:
    """What one making needs and learns: the engine is chosen by the first batch, rows are counted by file."""

    config: Config
    tokenizer: Tokenizer
    screen: IO[str] | None
    engine: Engine | None = None
    rows: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass
class _Written:
    """The files of a split while they are written, and what is counted on the way."""

    split: str
    data: Any
    profile: Any
    flagged: Any
    total: int = 0
    dropped: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)
    listed: Counter[str] = field(default_factory=Counter)
    excerpts: Counter[str] = field(default_factory=Counter)


def _write_split(making: _Making, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True)
    config = making.config
    packing = store.packing_of(config, folder.name)
    rules = store.rules_of(config)
    # TRL leaves the cutting to the packer: bfd cuts the end of longer rows off, the others make more rows of it.
    if packing:
        cuts = packing["strategy"] == "bfd"
        rules = replace(rules, max_length=rules.max_length if cuts else None, truncation_mode="keep_start")
    with (
        pa.OSFile(str(folder / "data.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, DATA) as data,
        pq.ParquetWriter(folder / "profile.parquet", PROFILE) as facts,
        pq.ParquetWriter(folder / "flagged.parquet", FLAGGED) as flagged,
    ):
        written = _Written(folder.name, data, facts, flagged)
        for batch in _tokenised(making, folder.name, rules, written):
            _write_batch(batch, making, rules, written)
    if packing and written.total:
        _pack(folder, packing, store.rules_of(config).max_length)
    return {"rows": written.total, "problems": written.problems, "dropped": written.dropped}


def _tokenised(making: _Making, split: str, rules: Rules, written: _Written) -> Iterator[Batch]:
    """The split's batches. Up to AHEAD of them are being tokenised while the next one is rendered."""
    waiting: deque[tuple[list[Ready], Future[list[Tokens]]]] = deque()
    rows = with_bar(source.rows(making.config, split), f"preparing {split}", making.screen)
    way = _way(making, rules)
    with ThreadPoolExecutor(1) as pool:
        while batch := list(islice(rows, BATCH)):
            if ready := _rendered(batch, making, way, written):
                making.engine = making.engine or _choose_engine(making, ready)
                waiting.append((ready, pool.submit(_tokenise, ready, making.tokenizer, making.engine)))
            if len(waiting) > AHEAD:
                yield _labelled(*waiting.popleft(), making.tokenizer)
        while waiting:
            yield _labelled(*waiting.popleft(), making.tokenizer)


def _choose_engine(making: _Making, ready: list[Ready]) -> Engine:
    backend = making.tokenizer.backend
    texts = [item[3].text for item in ready if item[2].messages]
    if making.tokenizer.byte_lengths is None or not texts:
        return engines.hf_engine(backend)
    return engines.choose(backend, making.config.data.engine, texts)


def _way(making: _Making, rules: Rules) -> Way:
    normal = source.normaliser(making.config)
    render = layout.renderer(making.tokenizer, rules)

    def way(row: Row) -> tuple[Example, Rendered]:
        example = normal(row)
        return example, render(example)

    return way


def _rendered(batch: list[tuple[int, Row | Broken]], making: _Making, way: Way, written: _Written) -> list[Ready]:
    ready: list[Ready] = []

    def drop(row: Row | Broken, kind: str, problem: str, fix: str = "") -> None:
        written.dropped += 1
        written.listed[kind] += 1
        if written.listed[kind] <= MAX_PROBLEMS:
            written.problems.append({"where": row.where, "kind": kind, "problem": problem, "fix": fix})

    for number, row in batch:
        if isinstance(row, Broken):
            drop(row, "unreadable", row.problem, row.fix)
            continue
        making.rows[written.split, row.file] += 1
        try:
            ready.append((number, row, *way(row)))
        except ShapeError as error:
            drop(row, "shape", str(error), error.fix)
        except RenderError as error:
            drop(row, "template", str(error))
    return ready


def _kinds(ready: list[Ready]) -> list[list[int]]:
    """The places of conversations and those of plain text, which the tokenizer puts tokens of its own around."""
    kinds = [[n for n, item in enumerate(ready) if bool(item[2].messages) is chats] for chats in (True, False)]
    return [places for places in kinds if places]


def _tokenise(ready: list[Ready], tokenizer: Tokenizer, engine: Engine) -> list[Tokens]:
    return [
        label.tokenise([ready[n][3].text for n in places], tokenizer, engine, plain=not ready[places[0]][2].messages)
        for places in _kinds(ready)
    ]


def _labelled(ready: list[Ready], tokens: Future[list[Tokens]], tokenizer: Tokenizer) -> Batch:
    kinds = _kinds(ready)
    parts = [
        label.label([ready[n][3] for n in places], part, tokenizer)
        for places, part in zip(kinds, tokens.result(), strict=True)
    ]
    whole = parts[0] if len(parts) == 1 else label.merged(parts[0], parts[1], np.concatenate(kinds))
    numbers, rows, examples, rendered = zip(*ready, strict=True)
    return Batch(numbers, rows, examples, rendered, whole)


def _write_batch(batch: Batch, making: _Making, rules: Rules, written: _Written) -> None:
    kept = batch.labelled.cut(rules)
    numbers = np.array(batch.numbers, dtype=np.int64)
    lists = [
        pa.ListArray.from_arrays(kept.starts.astype(np.int32), pa.array(values)) for values in (kept.ids, kept.labels)
    ]
    lengths = np.diff(kept.starts).astype(np.int32)
    written.data.write_batch(pa.RecordBatch.from_arrays([*lists, lengths, numbers], schema=DATA))
    flags = np.zeros(len(batch), dtype=np.int64)
    excerpts = []
    for flag, place, text in fidelity.look(batch, making.tokenizer):
        flags[place] |= 1 << fidelity.FLAGS.index(flag)
        written.excerpts[flag] += 1
        if written.excerpts[flag] <= MAX_EXCERPTS:
            excerpts.append({"row": batch.numbers[place], "flag": flag, "text": text})
    if excerpts:
        written.flagged.write_table(pa.Table.from_pylist(excerpts, FLAGGED))
    written.profile.write_table(profile.table(batch, kept, flags, making.config))
    written.total += len(batch)


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

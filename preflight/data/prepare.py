"""Preparing: every example rendered, tokenised and labelled once, kept as the Arrow files that the trainer opens."""

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from reprlib import repr as brief
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from preflight import digests
from preflight.config import Config
from preflight.data import label, readers, shapes, store
from preflight.data.label import Labelled, Rules
from preflight.data.readers import Broken, Row
from preflight.data.store import DATA, PROFILE, Prepared
from preflight.model.tokenizer import Tokenizer

BATCH = 512
MAX_PROBLEMS = 200  # of one kind


def prepare(config: Config, tokenizer: Tokenizer) -> Prepared:
    """The run's prepared data: opened if it is there, made if not. Safe to call from several processes at once."""
    folder = store.folder_of(config)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / ".lock"):
        if not store.is_whole(folder):
            shutil.rmtree(folder, ignore_errors=True)
            _make(config, tokenizer, folder)
        shutil.copyfile(folder / "train" / "profile.parquet", folder.parent.parent / "profile.parquet")
    return store.open_prepared(folder)


def _make(config: Config, tokenizer: Tokenizer, folder: Path) -> None:
    """Prepare into a folder beside the final one and move it into place, so that a half-made one is never found."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    sources: list[dict[str, Any]] = []
    splits: dict[str, Any] = {}
    named = store.split_files(config)
    held_out = config.data.validation_split
    try:
        for split, (found, problems) in named.items():
            rows: Iterable[tuple[int, Row | Broken]] = enumerate(_read(found, problems, sources))
            if split == "train" and held_out:
                rows, later = _hold_out(list(rows), held_out, config.training_value("seed"))
                splits["validation"] = _write_split(config, tokenizer, later, temporary / "validation")
            splits[split] = _write_split(config, tokenizer, rows, temporary / split)
        meta = {"key": store.key_of(config), "version": store.VERSION, "splits": splits, "sources": sources}
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
    packing = store.packing_of(config, folder.name)
    rules = store.rules_of(config)
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
        _pack(folder, packing, store.rules_of(config).max_length)
    written = {path.name: digests.of_file(path) for path in sorted(folder.iterdir()) if path.is_file()}
    return {"rows": total, "problems": problems, "dropped": dropped, "files": written}


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

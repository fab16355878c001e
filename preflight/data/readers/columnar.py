"""Parquet and Arrow files, read batch by batch."""

from collections.abc import Callable, Iterator
from typing import Any

from preflight.data.readers.rows import ROW, Broken, Row, shorten
from preflight.data.readers.source import Source

BATCH = 1024  # rows


def parquet(source: Source) -> Iterator[Row | Broken]:
    """The rows of a Parquet file."""
    import pyarrow.parquet as pq

    def batches() -> Iterator[Any]:
        # Read in pieces: a row group may be the whole file.
        with pq.ParquetFile(source.path, buffer_size=1 << 20, pre_buffer=False) as file:
            yield from file.iter_batches(BATCH)

    return _rows(source, batches, "Parquet")


def arrow(source: Source) -> Iterator[Row | Broken]:
    """The rows of an Arrow file: the IPC file format, or the stream that `datasets` writes."""
    import pyarrow as pa

    def batches() -> Iterator[Any]:
        with pa.memory_map(str(source.path)) as file:  # a batch may be the whole file, too
            if file.read(6) == b"ARROW1":
                whole = pa.ipc.open_file(file)
                parts = map(whole.get_batch, range(whole.num_record_batches))
            else:
                file.seek(0)
                parts = iter(pa.ipc.open_stream(file))
            for part in parts:
                part.validate(full=True)  # what is damaged may point anywhere
                for start in range(0, len(part), BATCH):
                    yield part.slice(start, BATCH)

    return _rows(source, batches, "Arrow")


def _rows(source: Source, batches: Callable[[], Iterator[Any]], name: str) -> Iterator[Row | Broken]:
    number = 0
    try:
        for batch in batches():
            filled = [column for column, array in zip(batch.schema.names, batch.columns, strict=True) if _filled(array)]
            for value in _values(batch):
                number += 1
                if isinstance(value, Exception):
                    yield Broken(source.name, number, f"can't be read: {shorten(str(value))}", unit=ROW)
                    continue
                for column in filled:
                    value[column] = _stripped(value[column])
                yield Row(source.name, number, value, ROW)
    except Exception as error:  # pyarrow raises whatever the damage leads to, from ArrowInvalid to MemoryError
        yield Broken(source.name, None, f"not {name} beyond row {number}: {shorten(str(error))}")


def _values(batch: Any) -> Iterator[Any]:
    """The rows of a batch; an exception for one that can't be read."""
    maps = "lossy" if "map<" in str(batch.schema.types) else None  # asking for it takes eight times as long
    try:
        yield from batch.to_pylist(maps_as_pydicts=maps)
        return
    except Exception as error:
        if len(batch) == 1:
            yield error
            return
    for start in range(len(batch)):
        yield from _values(batch.slice(start, 1))


def _filled(array: Any) -> bool:
    """Whether an object within the column has a key that is null: mostly Arrow put it there.

    Arrow gives all objects of a column the same keys. In the JSON that the rows came from the key wasn't there, and a
    template would print it.
    """
    import pyarrow as pa

    kind = array.type
    if pa.types.is_struct(kind):
        fields = [array.field(index) for index in range(kind.num_fields)]
        return any(field.null_count or _filled(field) for field in fields)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _filled(array.flatten())
    return bool(pa.types.is_map(kind))


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stripped(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_stripped(inner) for inner in value]
    return value

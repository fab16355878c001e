"""A data file as it is opened: its format, its compression, and its name in findings."""

import io
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

FORMATS = (".jsonl", ".json", ".csv", ".parquet", ".arrow")
TEXT = FORMATS[:3]
BUFFER = 1 << 16  # bytes; of a packed file that is cut off, up to so many are lost
CODECS = {".gz": "gzip", ".zst": "zstd"}


class Source(NamedTuple):
    """A data file.

    Attributes:
        path: Where it is.
        name: What findings call it.
        format: One of `FORMATS`.
        codec: What it is compressed with; None if it isn't.
    """

    path: Path
    name: str
    format: str
    codec: str | None

    def open(self) -> BinaryIO:
        """The file's content, unpacked."""
        if self.codec is None:
            return self.path.open("rb", buffering=BUFFER)
        import pyarrow as pa

        return cast("BinaryIO", io.BufferedReader(pa.input_stream(str(self.path), compression=self.codec), BUFFER))


def source_of(path: Path, name: str | None = None) -> Source | None:
    """The file as a source; None if its name says that it isn't one."""
    *others, last = [".", *(suffix.lower() for suffix in path.suffixes[-2:])]
    codec = CODECS.get(last)
    kind = others[-1] if codec else last
    if kind not in (TEXT if codec else FORMATS):
        return None
    return Source(path, name or path.name, kind, codec)

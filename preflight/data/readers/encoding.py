"""Which encoding a text has that isn't UTF-8, and how to convert it."""

import codecs

from preflight.data.readers.rows import Broken
from preflight.data.readers.source import Source

SAMPLE = 4 << 20  # bytes of a file to guess from
# What is guessed between: Python's name, and iconv's.
ENCODINGS = {
    "cp1252": "WINDOWS-1252",
    "cp1250": "WINDOWS-1250",
    "cp1251": "WINDOWS-1251",
    "cp1253": "WINDOWS-1253",
    "cp1254": "WINDOWS-1254",
    "cp1255": "WINDOWS-1255",
    "cp1256": "WINDOWS-1256",
    "mac_roman": "MACINTOSH",
    "shift_jis": "SHIFT_JIS",
    "euc_jp": "EUC-JP",
    "euc_kr": "EUC-KR",
    "gb18030": "GB18030",
    "big5": "BIG5",
}
# Letters and signs of Western European text; a few of them are too little for a guess by frequency.
WESTERN = frozenset("àâäáãåæçèéêëìíîïñòóôõöøœùúûüýÿßÀÂÄÁÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØŒÙÚÛÜÝŸ‘’‚“”„–—…«»¡¿°§€£©®·×\u00a0")


def wide(head: bytes) -> str | None:
    """iconv's name of UTF-16 or UTF-32 by the first four bytes; None for anything else."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    zeros = "".join("0" if byte == 0 else "." for byte in head)  # of text that begins with ASCII
    return {".0.0": "UTF-16LE", "0.0.": "UTF-16BE", ".000": "UTF-32LE", "000.": "UTF-32BE"}.get(zeros)


def guess(source: Source, found: bytes) -> str | None:
    """Python's name of the likely encoding of a file; None if it is UTF-8 but for some damage, or can't be told.

    Args:
        source: The file.
        found: Bytes of it that aren't UTF-8.
    """
    with source.open() as stream:
        sample = stream.read(SAMPLE)
    text = sample if found in sample else sample + b'"' + found
    strings = [part for part in text.split(b'"') if not part.isascii()]
    odd = [part for part in strings if not _is_utf8(part)]
    if 2 * len(odd) <= len(strings):
        return None
    return _likely(b"\n".join(odd)[: 1 << 16])


def _likely(text: bytes) -> str | None:
    letters = {letter for letter in text.decode("cp1252", "replace") if not letter.isascii()}
    if letters <= WESTERN:
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(text, cp_isolation=list(ENCODINGS)).best()
    return best.encoding if best is not None and best.encoding in ENCODINGS else None


def broken(source: Source, line: int, place: str, likely: str | None) -> Broken:
    """What to say of bytes that aren't UTF-8.

    Args:
        source: The file.
        line: The line of the error.
        place: The byte, and where in the line it is.
        likely: What the whole file looks like, as `guess` says.
    """
    problem = f"not UTF-8: byte {place}"
    if likely is None:
        return Broken(source.name, line, problem)
    return foreign(source, line, problem, ENCODINGS[likely])


def foreign(source: Source, line: int | None, problem: str, iconv: str) -> Broken:
    """What to say of a whole file in an encoding that iconv knows by this name."""
    fix = f"Convert the file: iconv -f {iconv} -t UTF-8 {source.path.name} > utf-8-{source.path.name}"
    if source.codec:
        fix = f"Unpack the file and convert it: iconv -f {iconv} -t UTF-8"
    return Broken(source.name, line, f"{problem}; the file looks like {iconv}", fix)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True

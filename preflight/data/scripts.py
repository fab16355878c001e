"""Which script a text is written in."""

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from preflight.data.shapes import Example

LATIN = "Latin"
CODE = "code"
SAMPLE = 256  # characters of a text that are looked at
NAMES = {"Cjk": "Han", "Hiragana": "Kana", "Katakana": "Kana"}
NO_SCRIPT = {"Fullwidth", "Halfwidth", "Modifier", "Fraction", "Superscript", "Subscript"}


def sample(example: Example) -> str:
    """The text that stands for an example: its last message, or its completion."""
    return example.messages[-1]["content"] if example.messages else example.completion


def of(texts: Sequence[str]) -> list[str]:
    """The script of each text: the one that most of its first letters are of; `code` for Latin with a block of code.

    Text in ASCII is Latin, and so is text without letters.
    """
    found = [CODE if "`" in text and "```" in text else LATIN for text in texts]  # one letter is found fast
    odd = [place for place, text in enumerate(texts) if not text.isascii()]
    if not odd:
        return found
    names, table = _table()
    samples = [texts[place][:SAMPLE] for place in odd]
    points = np.frombuffer("".join(samples).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    owner = np.repeat(np.arange(len(odd)), [len(sample) for sample in samples])
    scripts = table[np.minimum(points, len(table) - 1)]
    counts = np.bincount(owner * len(names) + scripts, minlength=len(odd) * len(names)).reshape(-1, len(names))
    counts[:, 0] = 0  # no letters
    for place, script, letters in zip(odd, counts.argmax(axis=1), counts.max(axis=1), strict=True):
        if letters and names[script] != LATIN:
            found[place] = names[script]
    return found


@cache
def _table() -> tuple[list[str], Any]:
    """The names of scripts, and for each code point below 0x10000 the place of its script; 0 for what is no letter.

    The first word of a letter's Unicode name is its script. Letters above are rare, and taken for none.
    """
    names = [""]
    places = {"": 0}
    table = np.zeros(0x10000 + 1, dtype=np.uint8)
    for point in range(0x10000):
        letter = chr(point)
        if not letter.isalpha():
            continue
        word = unicodedata.name(letter, "").partition(" ")[0].capitalize()
        name = "" if word in NO_SCRIPT else NAMES.get(word, word)
        if name not in places:
            places[name] = len(names)
            names.append(name)
        table[point] = places[name]
    return names, table

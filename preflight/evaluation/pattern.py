"""What is nearly always so of expected answers, without anybody having said it."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from preflight.data.hygiene import language

WORD = re.compile(r"\w")
FENCED = re.compile(r"```[^\n`]*\n(?:(?!```).)*```", re.DOTALL)
NUMBER = re.compile(r"[-+]?[$€£]?[\d.,]*\d ?%?")
LONGEST = 40  # characters of a label
SLACK = 2  # how far beyond the usual lengths an answer may go

Has = Callable[[str], bool | None]  # None: it can't be told of this text


@dataclass(frozen=True)
class Pattern:
    """What is nearly always so of some texts.

    Attributes:
        kind: What it is about: `json`, `labels`, `number`, `fence`, `start`, `end`, `length` or `language`.
        words: The same as the end of "expected answers …".
        has: Whether a text without blanks around it has it.
    """

    kind: str
    words: str
    has: Has

    def share(self, texts: Sequence[str]) -> tuple[int, int]:
        """How many of the texts have it, of those of which it can be told."""
        told = [found for text in texts if (found := self.has(text)) is not None]
        return sum(told), len(told)


def patterns_of(texts: Sequence[str], least: float, fewest: int) -> list[Pattern]:
    """What a share of at least `least` of the texts have, of at least `fewest` of which it can be told.

    Args:
        texts: Texts without blanks around them.
        least: The share.
        fewest: How many texts it takes to see a pattern.

    Returns:
        Patterns, but for what follows from another one: JSON starts with a brace, and a label is short.
    """
    found: list[Pattern] = []
    for make, implied in MAKERS:
        if implied.isdisjoint(pattern.kind for pattern in found):
            for pattern in make(texts, least):
                having, told = pattern.share(texts)
                if told >= fewest and having >= least * told:
                    found.append(pattern)
    return found


def _json(texts: Sequence[str], least: float) -> Iterator[Pattern]:
    values = [_value(text) for text in texts]
    objects = [value for value in values if isinstance(value, dict)]
    if len(objects) >= least * len(texts):
        counts = Counter(key for value in objects for key in value)
        keys = [key for key, count in counts.items() if count >= least * len(texts)]
        words = "are JSON objects" + (f" with the keys {', '.join(map(repr, keys[:6]))}" if keys else "")
        wanted = set(keys)
        yield Pattern("json", words, lambda text: _is_object(text, wanted))
    elif sum(isinstance(value, list) for value in values) >= least * len(texts):
        yield Pattern("json", "are JSON lists", lambda text: isinstance(_value(text), list))


def _labels(texts: Sequence[str], least: float) -> Iterator[Pattern]:
    """One of few labels.

    By Good and Turing the share of texts seen once is the chance that the next one was never seen: only if that is
    small are these all the labels there are.
    """
    counts = Counter(texts)
    once = sum(count == 1 for count in counts.values())
    if once <= (1 - least) * len(texts) and max(map(len, counts), default=0) <= LONGEST:
        shown = ", ".join(repr(label) for label, _ in counts.most_common(4))
        words = f"are one of {len(counts)} labels ({shown}{', …' if len(counts) > 4 else ''})"
        yield Pattern("labels", words if len(counts) > 1 else f"are always {shown}", lambda text: text in counts)


def _number(texts: Sequence[str], _: float) -> Iterator[Pattern]:
    yield Pattern("number", "are a number and nothing else", lambda text: bool(NUMBER.fullmatch(text)))


def _fence(texts: Sequence[str], _: float) -> Iterator[Pattern]:
    yield Pattern("fence", "are one code block between fences", lambda text: bool(FENCED.fullmatch(text)))


def _start(texts: Sequence[str], least: float) -> Iterator[Pattern]:
    if start := _common(texts, least):
        yield Pattern("start", f"start with {start!r}", lambda text: text.startswith(start))


def _end(texts: Sequence[str], least: float) -> Iterator[Pattern]:
    if end := _common([text[::-1] for text in texts], least)[::-1]:
        yield Pattern("end", f"end with {end!r}", lambda text: text.endswith(end))


def _length(texts: Sequence[str], least: float) -> Iterator[Pattern]:
    lengths = sorted(map(len, texts))
    if lengths:
        out = math.floor((1 - least) / 2 * len(lengths))  # left out at each end
        low, high = lengths[out] // SLACK, lengths[-1 - out] * SLACK
        yield Pattern("length", f"have {low:,} to {high:,} characters", lambda text: low <= len(text) <= high)


def _language(texts: Sequence[str], _: float) -> Iterator[Pattern]:
    known = Counter(code for text in texts if (code := _spoken(text)))
    if known:
        code = known.most_common(1)[0][0]
        yield Pattern("language", f"are in the language {code}", lambda text: _speaks(text, code))


WHOLE = frozenset(("json", "labels", "number"))
MAKERS: tuple[tuple[Callable[[Sequence[str], float], Iterator[Pattern]], frozenset[str]], ...] = (
    (_json, frozenset()),
    (_labels, frozenset(("json",))),
    (_number, WHOLE),
    (_fence, WHOLE),
    (_start, WHOLE | {"fence"}),
    (_end, WHOLE | {"fence"}),
    (_length, frozenset(("labels", "number"))),
    (_language, WHOLE | {"fence"}),
)


def _common(texts: Sequence[str], least: float) -> str:
    """The longest beginning that enough texts share, up to the end of a word; empty if there is none."""
    needed, sharing, start = math.ceil(least * len(texts)), list(texts), ""
    while True:
        following = Counter(text[len(start)] for text in sharing if len(text) > len(start))
        letter, count = following.most_common(1)[0] if following else ("", 0)
        if count < needed or not letter:
            break
        start += letter
        sharing = [text for text in sharing if text.startswith(start)]
    # "Step 1" and "Steps" share a beginning, but no word.
    if start and WORD.match(start[-1]) and any(WORD.match(text[len(start) : len(start) + 1]) for text in sharing):
        start = start[: max((end.end() for end in re.finditer(r"\W", start)), default=0)]
    return start.strip()


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_object(text: str, keys: set[str]) -> bool:
    value = _value(text)
    return isinstance(value, dict) and keys <= value.keys()


@cache
def _spoken(text: str) -> str | None:
    return language.of(text)


def _speaks(text: str, code: str) -> bool | None:
    found = _spoken(text)
    return None if found is None else language.same(found, [code])

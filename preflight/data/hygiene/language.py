"""The language of a text, told by py3langid, which carries its model."""

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

from preflight.data.hygiene.turn import prose

SAMPLE = 1_000  # answers of a split that are looked at: enough to tell 5 % to within 1.4 %
CHARS = 300  # of a text
BYTES = 60  # of letters in UTF-8 that a text must have: labels, names, formulas and code are in no language
SURE = 0.8  # probability; on short or odd text, where it errs, py3langid stays far below
# Languages so close that a few sentences don't always tell them apart.
ALIKE = "no nb nn da, hr sr bs, id ms, zh wuu yue, ar arz ary, pt gl, cs sk, uz uzs, bg mk, af nl"
CLOSE = tuple(frozenset(group.split()) for group in ALIKE.split(","))
# Not languages of their own here: no language, creoles and the like that short text is taken for.
NONE = frozenset(("zxx", "pcm", "bcl", "la"))


def of(text: str) -> str | None:
    """The ISO 639 code of a text's language; None if it is too short or isn't clear."""
    start = prose(text)[:CHARS]
    letters = "".join(letter if letter.isalpha() or unicodedata.combining(letter) else " " for letter in start)
    if len(letters.replace(" ", "").encode("utf-8", "ignore")) < BYTES:
        return None
    ranked = dict(_identifier().rank(start))
    code = next(iter(ranked))
    sure = sum(ranked.get(name, 0.0) for name in _close_to(code))
    return code if sure >= SURE and code not in NONE else None


def same(code: str, declared: Sequence[str]) -> bool:
    """Whether a language is one of the declared ones, or can't be told from one of them."""
    return not _close_to(code).isdisjoint(name.lower().partition("-")[0] for name in declared)


def known(code: str) -> bool:
    """Whether a language, such as `de` or `de-CH`, can be told from others."""
    return not _close_to(code.lower().partition("-")[0]).isdisjoint(_identifier().nb_classes)


def _close_to(code: str) -> frozenset[str]:
    return next((group for group in CLOSE if code in group), frozenset((code,)))


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

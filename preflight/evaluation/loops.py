"""Answers that go round in circles: exact loops, lines that only count up, and text that says little new."""

import re

from preflight.data.hygiene.turn import prose

WORD = re.compile(r"[^\W_]")
# Ten characters or more, four times in a row, with a letter or digit in them: the rule of a table is no loop.
LOOP = re.compile(rf"(?=.{{0,9}}{WORD.pattern})(.{{10,200}}?)\1{{3,}}", re.DOTALL)
NUMBER = re.compile(r"\d+")
COUNTED = re.compile(r"(.{10,200}?)\1{3,}", re.DOTALL)
COUNTED_WORDS = 5  # of a unit; `Step number 3` has two, and a table of sevens none
TERM = re.compile(r"\w+")
LETTER = re.compile(r"[^\W\d_]")
TERMS = 40  # fewer say nothing about a share
MAX_REPEATED = 0.6  # what is said three times has more; of 24,000 pieces of prose, code and HTML one had


def fault(text: str, usual: float = 0.0) -> str | None:
    """What is wrong with an answer as it stands: empty or a loop; None if it is sound.

    Args:
        text: The answer.
        usual: The largest share of repeated 4-grams of the answers in the data, where songs or logs may be wanted.
    """
    text = text.strip()
    return loops(text, usual) if text else "is empty"


def loops(text: str, usual: float = 0.0) -> str | None:
    """How an answer goes round in circles; None if it doesn't."""
    wordless = len(text) >= 40 and not WORD.search(text)  # such as !!!!!!, which a broken model says
    if wordless or LOOP.search(text):
        return "repeats itself"
    words = prose(text)  # code counts, and says the same again
    masked = NUMBER.sub("0", words)
    units = (match.group(1) for match in COUNTED.finditer(masked) if not match.group(1).lstrip().startswith("|"))
    if any(len(TERM.findall(NUMBER.sub("", unit))) >= COUNTED_WORDS for unit in units):
        return "repeats itself but for a number"
    share = repeated(words)
    return f"repeats itself: {share:.0%} of its 4-grams are not new" if share > max(MAX_REPEATED, usual) else None


def repeated(text: str) -> float:
    """Share of 4-grams of words that were there before: seq-rep-4 of Welleck et al. 2019; 0 for a short text.

    4-grams of numbers alone, as in a matrix, don't count.
    """
    terms = TERM.findall(text.lower())
    if len(terms) < TERMS:
        return 0.0
    grams = [gram for gram in zip(*(terms[n:] for n in range(4)), strict=False) if LETTER.search("".join(gram))]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0

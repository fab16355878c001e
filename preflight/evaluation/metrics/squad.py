"""Questions with short answers: exact match and F1 of words, normalised as SQuAD's evaluation script does.

Rajpurkar et al. 2016: lower case, no punctuation, no articles, single spaces. An empty text equals an empty one alone.
"""

import re
import string
from collections import Counter

from preflight.evaluation.metrics.metric import Measured, Metric, Texts, averaged

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def words(text: str) -> list[str]:
    """The words that count."""
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def same(answer: str, expected: str) -> float:
    return float(words(answer) == words(expected))


def shared(answer: str, expected: str) -> float:
    """F1 of the words of an answer."""
    said, wanted = words(answer), words(expected)
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))


def exact_match(texts: Texts) -> Measured:
    return averaged([same(*pair) for pair in zip(texts.answers, texts.expected, strict=True)])


def token_f1(texts: Texts) -> Measured:
    return averaged([shared(*pair) for pair in zip(texts.answers, texts.expected, strict=True)])


METRICS = (
    Metric("exact_match", "Exact match", exact_match),
    Metric("token_f1", "F1 of words", token_f1),
)

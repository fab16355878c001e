"""Classification: an answer is one of the classes, or wrong.

The classes are `evaluation.labels`, or else the distinct expected answers. Scores are macro averages over the classes
that were expected or answered, as scikit-learn has them; an answer that is no class misses its class and is no class.
"""

import string
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from preflight.evaluation.metrics.metric import Measured, Metric, Texts, additive, averaged
from preflight.findings import not_available

MOST = 20  # distinct answers; beyond, they are hardly classes, and each would have three of 64 examples
NONE = -1
AROUND = string.whitespace + ".,;:!?\"'`*_()[]{}<>。、「」“”„«»…"  # of a sentence: C++ and C# stay what they are


def bare(text: str) -> str:
    """A class without case, and without the marks around it unless they are all there is."""
    return text.strip(AROUND).casefold() or text.strip().casefold()


def finder(names: Sequence[str]) -> Callable[[str], int]:
    """What tells the number of the class that a text is, or `NONE`: as it is written, or else bare."""
    exact = {name.strip().casefold(): number for number, name in enumerate(names)}
    barely = [bare(name) for name in names]
    alike = {name: number for number, name in enumerate(barely) if barely.count(name) == 1}
    return lambda text: exact.get(text.strip().casefold(), alike.get(bare(text), NONE))


def classified(texts: Texts) -> tuple[list[int], list[int], int]:
    """The class expected and answered in each example (`NONE` is no class), and how many classes there are.

    Raises:
        NotAvailable: there are no classes, or an expected answer is not among them.
    """
    names = texts.settings.labels or sorted(set(map(bare, texts.expected)))
    if texts.settings.labels is None and (len(names) > MOST or len(names) == len(texts.expected) > 2):
        not_available(
            f"{len(names)} different answers of {len(texts.expected)} are expected, which is no set of classes: name "
            "them in evaluation.labels, or other metrics in evaluation.metrics"
        )
    find = finder(names)
    expected = list(map(find, texts.expected))
    if NONE in expected:
        number = expected.index(NONE)
        said = texts.expected[number].strip()[:60]
        not_available(f"{texts.place(number)} expects {said!r}, which is not among evaluation.labels: add it there")
    return expected, list(map(find, texts.answers)), len(names)


def accuracy(texts: Texts) -> Measured:
    """The share of answers that are the right class."""
    expected, answered, _ = classified(texts)
    return averaged(_right(expected, answered), _notes(answered))


def macro(texts: Texts, which: int) -> Measured:
    """Precision (0), recall (1) or F1 (2), by scikit-learn.

    scikit-learn takes 2 ms a call, so of thousands of resamples its formula is taken on counts that add up.
    """
    import numpy as np
    from sklearn.metrics import precision_recall_fscore_support

    expected, answered, count = classified(texts)
    present = sorted({*expected, *answered} - {NONE})
    value = precision_recall_fscore_support(expected, answered, labels=present, average="macro", zero_division=0)[which]
    classes = np.arange(count)
    true, said = (np.equal.outer(side, classes) for side in (expected, answered))
    score = additive(np.hstack([true & said, true, said]), partial(_macro, which))
    return Measured(score, _right(expected, answered), _notes(answered), float(value))


def _macro(which: int, sums: Any, _: Any) -> Any:
    import numpy as np

    hit, true, said = np.split(sums, 3, axis=1)
    above, below = ((hit, said), (hit, true), (2 * hit, true + said))[which]
    each = np.divide(above, below, out=np.zeros_like(hit), where=below > 0)
    return each.sum(axis=1) / np.maximum(((true + said) > 0).sum(axis=1), 1)


def _right(expected: Sequence[int], answered: Sequence[int]) -> list[float]:
    return [float(one == other) for one, other in zip(expected, answered, strict=True)]


def _notes(answered: Sequence[int]) -> dict[str, int]:
    return {"no class": sum(number == NONE for number in answered)}


METRICS = (
    Metric("accuracy", "Accuracy", accuracy),
    Metric("f1", "F1 (macro)", partial(macro, which=2), mean=False),
    Metric("precision", "Precision (macro)", partial(macro, which=0), mean=False),
    Metric("recall", "Recall (macro)", partial(macro, which=1), mean=False),
)

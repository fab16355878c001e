"""Whether programs in answers pass their rows' tests: execution accuracy of the greedy one, pass@k of sampled ones."""

import re
from functools import partial

from preflight.evaluation.metrics.metric import Measured, Metric, Texts


def execution_accuracy(texts: Texts) -> Measured:
    """The share of answers whose program passes; see `preflight.evaluation.code`."""
    from preflight.evaluation.code import measure

    return measure(texts)


def sampled(name: str) -> Metric | None:
    """`pass@5` and its like, from 2 on; None for any other name."""
    found = re.fullmatch(r"pass@([1-9]\d{0,3})", name)
    k = int(found[1]) if found else 0
    return Metric(name, name, partial(_pass_at, k), samples=k) if k > 1 else None


def _pass_at(k: int, texts: Texts) -> Measured:
    from preflight.evaluation.code import measure_sampled

    return measure_sampled(texts, k)


METRICS = (Metric("pass@1", "Execution accuracy", execution_accuracy),)

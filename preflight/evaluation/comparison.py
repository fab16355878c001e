"""A run against the accepted one: how much worse each metric has become, and how sure that is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from preflight.accepted import Interval, Loss, Metric
from preflight.evaluation import bootstrap
from preflight.evaluation.metrics import averaged

MIN_PAIRS = 8  # examples that both runs have, below which single ones decide


@dataclass(frozen=True)
class Change:
    """What became of one number.

    Attributes:
        title: What it is.
        then: Its value in the accepted run.
        now: Its value in this one.
        worse: By how much it is worse; below zero if it is better.
        low: The least that it is worse by, at 95 %; minus infinity if that can't be told.
        pairs: Examples that both runs have, if they were compared one by one; 0 else.
    """

    title: str
    then: float
    now: float
    worse: float
    low: float
    pairs: int = 0

    @property
    def in_words(self) -> str:
        """How much worse it is, and what that rests on."""
        sure = "" if self.low == -math.inf else f", at least {self.low:.4g} at 95 %"
        basis = f"on {self.pairs} examples of both" if self.pairs else "by the intervals of both"
        return f"worse by {self.worse:.4g}{sure}, {basis}"

    def too_much(self, max_drop: float | None, tolerance: float) -> bool:
        """Whether it is worse by more than a demand allows or, without one, for certain and by more than a share."""
        if max_drop is not None:
            return self.worse > max_drop + 1e-9
        return self.low > 0 and self.worse > tolerance * abs(self.then)

    @property
    def allowance(self) -> float:
        """The drop rounded up to two digits: a demand that allows it."""
        power = 10.0 ** (math.floor(math.log10(self.worse)) - 1) if self.worse > 0 else 1.0
        return float(f"{math.ceil(self.worse / power - 1e-9) * power:.6g}")


def of_metric(then: Metric, now: Metric, *, same_data: bool) -> Change | None:
    """The change of a metric; None if it can't be told: too few common examples, and other data.

    A score that is the mean of its examples is compared example by example. Others are compared by their intervals, if
    they are of the same data.
    """
    sign = -1 if then.higher_is_better else 1
    common = sorted(then.examples.keys() & now.examples.keys())
    if len(common) >= MIN_PAIRS and then.mean and now.mean:
        before, after = ([float(side.examples[key]) for key in common] for side in (then, now))
        return _paired(then.title, before, after, sign)
    if not same_data:
        return None
    worse = sign * (now.tuned.value - then.tuned.value)
    return Change(then.title, then.tuned.value, now.tuned.value, worse, worse - _reach(then.tuned, now.tuned, sign))


def of_loss(then: Loss, now: Loss) -> Change | None:
    """The change of the held-out loss; None with too few common examples. A cut example is another one."""
    common = [
        key
        for key, example in sorted(then.examples.items())
        if key in now.examples and now.examples[key].tokens == example.tokens
    ]
    if len(common) < MIN_PAIRS:
        return None
    before, after = ([float(side.examples[key].loss) for key in common] for side in (then, now))
    return _paired("held-out loss", before, after, 1)


def changes(then: Mapping[str, Metric], now: Mapping[str, Metric], *, same_data: bool) -> dict[str, Change | None]:
    """The change of each metric that both runs have, by its name."""
    return {name: of_metric(then[name], now[name], same_data=same_data) for name in sorted(then.keys() & now.keys())}


def _paired(title: str, before: Sequence[float], after: Sequence[float], sign: int) -> Change:
    """Both runs on the same examples: what makes an example hard cancels out."""
    then, now, gain = bootstrap.paired(averaged(before), averaged(after), len(before))
    low = gain.low if sign > 0 else -gain.high
    return Change(title, then.value, now.value, sign * gain.value, low, len(before))


def _reach(then: Interval, now: Interval, sign: int) -> float:
    """How far the difference of two scores may be below what it seems: their own reaches, squared and added.

    From the intervals of two independent scores (Newcombe, Statistics in Medicine 1998, 17:873, method 10). Scores on
    the same examples differ by less, so that this errs towards saying nothing.
    """
    ends = (then.low, now.high) if sign < 0 else (then.high, now.low)
    if ends[0] is None or ends[1] is None:
        return math.inf
    return math.hypot(then.value - ends[0], now.value - ends[1])

"""Scores of base and tuned model on the same held-out examples, and `scores.json`, which the reports draw from.

`<artefacts of the postflight>/scores.json`, written whole or not at all:

    {"metrics": [{
        "name": "accuracy",            the name in the config
        "title": "Accuracy",           in words
        "higher_is_better": true,
        "top": 1.0,                    the best or worst value there can be: 1 (shown in percent), 100, or null
        "n": 64, "wanted": 64,         examples scored, and how many there were to be
        "mean": true,                  whether the score is the mean of the examples' values (not so: bleu, f1)
        "base": {"value", "low", "high"}, "tuned": {...}, "difference": {...},    difference: tuned minus base
        "notes": {"no class": 2},      what else was counted on the tuned model's answers
        "examples": {key: value},      of the tuned model; empty if its examples have no key (perplexity)
        "base_examples": {key: value}  of the base model
     }],
     "problems": {"metrics.py:polite": "why there is no score"}}

`low` and `high` are a 95 % interval. A number that is not finite is null. `key` is the first 16 hexadecimal digits of
the SHA-256 of the rendered prompt (`key_of`), so that the same question has the same key in every run; where one prompt
stands several times, its value is the mean.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from preflight.config import Config
from preflight.evaluation.bootstrap import Interval, paired
from preflight.evaluation.budget import Sampled
from preflight.evaluation.generate import Answer
from preflight.evaluation.loss import HeldOut
from preflight.evaluation.metrics import Measured, Metric, Texts, defaults_of, metric_of, perplexity, spoken
from preflight.evaluation.programs import Programs
from preflight.findings import NotApplicable, NotAvailable


@dataclass(frozen=True)
class Compared:
    """A metric of base and tuned model on the same examples.

    Attributes:
        name: Its name in the config.
        metric: The metric.
        base: Score of the base model.
        tuned: Score of the tuned model.
        difference: Tuned minus base.
        n: How many examples were scored.
        wanted: How many there were to be.
        keys: Key of each example; empty if they have none.
        each_base: The base model's value of each example; empty if the metric has only one for all.
        each_tuned: The tuned model's.
        notes: What else was counted on the tuned model's answers.
    """

    name: str
    metric: Metric
    base: Interval
    tuned: Interval
    difference: Interval
    n: int
    wanted: int
    keys: Sequence[str] = ()
    each_base: Sequence[float] = ()
    each_tuned: Sequence[float] = ()
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def higher_is_better(self) -> bool:
        return self.metric.higher_is_better

    @property
    def gain(self) -> float:
        """How much better the tuned model is than its base."""
        return self.difference.value if self.higher_is_better else -self.difference.value

    @property
    def worse(self) -> bool:
        """Whether the tuned model is worse than its base with the whole interval, or its score is no number."""
        ends = self.difference.high < 0 if self.higher_is_better else self.difference.low > 0
        return ends or not math.isfinite(self.tuned.value)

    @property
    def examples(self) -> dict[str, float]:
        """The tuned model's values by key; the mean where a prompt stands several times."""
        return self._by_key(self.each_tuned)

    @property
    def base_examples(self) -> dict[str, float]:
        """The base model's values, likewise."""
        return self._by_key(self.each_base)

    def _by_key(self, each: Sequence[float]) -> dict[str, float]:
        found: dict[str, list[float]] = {}
        for key, value in zip(self.keys, each, strict=False):
            found.setdefault(key, []).append(value)
        return {key: sum(values) / len(values) for key, values in found.items()}

    @property
    def change(self) -> str:
        """The difference with its interval, in words: `-12.5 points, 95 % interval -20.1 to -3.2 points`."""
        value, low, high = (self.metric.written(it, signed=True) for it in vars(self.difference).values())
        return f"{value}, 95 % interval {low} to {high}"

    def as_evidence(self) -> dict[str, Any]:
        """Scores, each with its interval, and what else was counted."""
        sides = {"base": self.base, "tuned": self.tuned, "difference": self.difference}
        ends = {side: [it.value, it.low, it.high] for side, it in sides.items()}
        return {**ends, "examples": self.n, "wanted": self.wanted, **self.notes}

    def __str__(self) -> str:
        """`Accuracy 87.5 % (base 62.5 %)`."""
        return (
            f"{self.metric.title} {self.metric.written(self.tuned.value)} (base {self.metric.written(self.base.value)})"
        )


@dataclass(frozen=True)
class Scores:
    """What there is to judge.

    Attributes:
        compared: Metrics by name, in the order of the config, or of the task type's defaults.
        problems: Metrics that could not be computed, and why.
        demanded: Whether the config names them.
    """

    compared: Mapping[str, Compared]
    problems: Mapping[str, str]
    demanded: bool

    def as_json(self) -> dict[str, Any]:
        """The content of `scores.json`, but for numbers that aren't finite."""
        return {"metrics": [_as_json(one) for one in self.compared.values()], "problems": dict(self.problems)}


def scores_of(
    config: Config,
    answers: Callable[[], Sampled[Answer]],
    held_out: Callable[[], HeldOut],
    programs: Callable[[], Programs] = dict,
) -> Scores:
    """All metrics that the config names, or else those of its task type; what one needs is made when it does.

    Raises:
        NotApplicable: nothing is held out that could be asked or scored.
    """
    demanded = bool(config.evaluation.demands)
    compared: dict[str, Compared] = {}
    problems: dict[str, str] = {}
    absent: NotApplicable | None = None
    for name in config.evaluation.demands or defaults_of(config):
        try:
            metric = metric_of(name, config.task.type, config.folder)
            if metric.measure is None:
                compared[name] = of_losses(name, metric, held_out())
            elif metric.samples:
                compared[name] = of_samples(config, name, metric, answers(), programs)
            else:
                compared[name] = of_answers(config, name, metric, answers())
        except NotApplicable as reason:
            absent = absent or reason
            if demanded:  # what is asked for and can't be had is no matter of course
                problems[name] = str(reason)
        except NotAvailable as reason:
            problems[name] = str(reason)
    if absent and not compared and not problems:
        raise absent
    return Scores(compared, problems, demanded)


def of_samples(
    config: Config, name: str, metric: Metric, answers: Sampled[Answer], programs: Callable[[], Programs]
) -> Compared:
    """A metric of sampled answers.

    Raises:
        NotAvailable: fewer are drawn than it needs, or it can't be computed.
    """
    if config.evaluation.samples < metric.samples:
        raise NotAvailable(f"{name} needs at least as many programs a prompt: set evaluation.samples: {metric.samples}")
    drawn = programs()
    having = Sampled([answer for answer in answers if answer.where in drawn], answers.wanted)
    sides = [[drawn[answer.where][side] for answer in having] for side in (0, 1)]
    return of_answers(config, name, metric, having, sides)


def of_answers(
    config: Config,
    name: str,
    metric: Metric,
    answers: Sampled[Answer],
    programs: Sequence[Sequence[Sequence[str]]] = ((), ()),
) -> Compared:
    """A metric of answers.

    Raises:
        NotAvailable: it can't be computed.
    """
    assert metric.measure is not None
    base = Texts(
        answers=[spoken(answer.base.text) for answer in answers],
        expected=[spoken(answer.expected) for answer in answers],
        columns=[answer.columns for answer in answers],
        settings=config.evaluation,
        folder=config.folder,
        where=[answer.where for answer in answers],
        programs=programs[0],
    )
    tuned = replace(base, answers=[spoken(answer.tuned.text) for answer in answers], programs=programs[1])
    keys = [key_of(answer.prompt) for answer in answers]
    sides = metric.measure(base), metric.measure(tuned)
    return compare(name, metric, sides, n=len(answers), wanted=answers.wanted, keys=keys)


def of_losses(name: str, metric: Metric, losses: HeldOut) -> Compared:
    """Perplexity, of held-out losses.

    Raises:
        NotAvailable: there are none.
    """
    if not losses.tokens:
        raise NotAvailable("no held-out example has a supervised token")
    n = len(losses.tokens)
    sides = perplexity.perplexity(losses.base, losses.tokens), perplexity.perplexity(losses.tuned, losses.tokens)
    return compare(name, metric, sides, n=n, wanted=max(losses.wanted, n))


def compare(
    name: str, metric: Metric, sides: tuple[Measured, Measured], *, n: int, wanted: int, keys: Sequence[str] = ()
) -> Compared:
    """Scores of base and tuned model, with their intervals."""
    base, tuned = sides
    return Compared(name, metric, *paired(base, tuned, n), n, wanted, keys, base.each, tuned.each, tuned.notes)


def key_of(prompt: str) -> str:
    """The key of an example: the same in every run that asks it the same way."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _as_json(one: Compared) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.metric.title,
        "higher_is_better": one.higher_is_better,
        "top": one.metric.top,
        "n": one.n,
        "wanted": one.wanted,
        "mean": one.metric.mean and bool(one.each_tuned),
        **{side: asdict(getattr(one, side)) for side in ("base", "tuned", "difference")},
        "notes": dict(one.notes),
        "examples": one.examples,
        "base_examples": one.base_examples,
    }

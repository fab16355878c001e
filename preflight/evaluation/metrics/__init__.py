"""Named metrics: those of the task type, those that the config names, and the user's own functions.

To add one: make a `Metric` in a module here and put the module into `MODULES`; in `DEFAULTS` it becomes one of those
that a task type is judged by when the config names none. The first there is the one that decides.
"""

from collections.abc import Mapping
from pathlib import Path

from preflight.config import Config
from preflight.config.problems import did_you_mean, shown
from preflight.evaluation.metrics import classes, execution, overlap, perplexity, reasoning, squad
from preflight.evaluation.metrics.metric import Measured, Metric, Score, Texts, additive, averaged, spoken

MODULES = (classes, overlap, squad, reasoning, perplexity, execution)
METRICS: Mapping[str, Metric] = {metric.name: metric for module in MODULES for metric in module.METRICS}
FREE_TEXT = ("rouge_l", "chrf", "bleu", "perplexity")
DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "classification": ("accuracy", "f1", "precision", "recall"),
    "qa": ("token_f1", "exact_match"),
    "reasoning": ("answer_accuracy",),
    "code-generation": ("chrf", "bleu", "perplexity"),
    "style-transfer": FREE_TEXT,
    "instruction-following": FREE_TEXT,
    "domain-knowledge": FREE_TEXT,
}
# What people call a task's own metric.
MEANT = {("qa", "f1"): "token_f1", ("reasoning", "accuracy"): "answer_accuracy", ("qa", "accuracy"): "exact_match"}


def defaults_of(config: Config) -> tuple[str, ...]:
    """What a run is judged by when its config names no metric; the first decides."""
    runs = config.task.type == "code-generation" and config.evaluation.tests is not None
    return ("pass@1",) if runs else DEFAULTS[config.task.type]


def is_own(name: str) -> bool:
    """Whether it names a function of the user's: `metrics.py:function`."""
    file, colon, function = name.rpartition(":")
    return bool(colon) and file.endswith(".py") and function.isidentifier()


def refusal(name: str, *limits: float | None) -> str | None:
    """Why a name, or a limit of its score, can't be meant; None if it can."""
    if is_own(name):
        return None
    metric = METRICS.get(name) or execution.sampled(name)
    if metric is None:
        hint = did_you_mean(name, METRICS) or f"There are {', '.join(METRICS)}."
        return f"there is no metric {shown(name)}. {hint} A function of your own is written file.py:function"
    top = metric.top
    for limit in limits:
        if top is not None and limit is not None and not 0 <= limit <= top:
            return f"{name} goes from 0 to {top}, and can't be {limit:g}" + (
                f": write {limit / 100:g} for {limit:g} %" if 1 < limit <= 100 else ""
            )
    return None


def metric_of(name: str, task: str, folder: Path) -> Metric:
    """The metric that a config means by a name.

    Raises:
        NotAvailable: it is a function of the user's that can't be loaded.
        KeyError: there is none of that name; the config is checked for it when it is loaded.
    """
    if is_own(name):
        from preflight.evaluation.metrics.own import load_metric

        return load_metric(name, folder)
    return execution.sampled(name) or METRICS[MEANT.get((task, name), name)]


__all__ = [
    "DEFAULTS",
    "METRICS",
    "Measured",
    "Metric",
    "Score",
    "Texts",
    "additive",
    "averaged",
    "defaults_of",
    "metric_of",
    "spoken",
]

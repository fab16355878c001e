from typing import Any

from preflight import Finding, check, not_applicable, not_available, report_findings
from preflight.config import Config
from preflight.evaluation.metrics import defaults_of
from preflight.evaluation.scores import Scores
from preflight.findings import counted
from preflight.fixtures import Evidence

ITEM = "Task performance: tested on held-out examples"


@check("POST-111", "secondary-metrics", severity="recommended", section=6, item=ITEM, thresholds={"min_examples": 8})
def no_secondary_metric_is_worse_than_the_base_models(
    config: Config, scores: Scores, evidence: Evidence, limits: Any
) -> None:
    """No other metric of the task is worse than the base model's.

    What it checks: The metrics of the task type that POST-110 doesn't judge, and the one of shared words that has to
    fall far there, such as ROUGE-L: whether the whole 95 % interval of the difference to the base model, from a paired
    bootstrap, lies on the wrong side. Fewer than 8 examples can't tell. A config that names `evaluation.metrics` has no
    others.
    Why it matters: A model can gain at one end and lose at another: accuracy rises while a rare class is never answered
    any more, or the loss falls while answers share fewer words with those expected.
    How to fix: Compare the answers of both models in the report. Demand what matters to you in `evaluation.metrics`.
    Evidence: Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation". Shared words reflect
    quality weakly (Novikova et al. 2017, arXiv:1707.06875), so that this warns and doesn't block.
    """
    if scores.demanded:
        not_applicable("the config names its metrics; POST-110 judges them")
    first, *_ = defaults_of(config)
    found = {name: one for name, one in scores.compared.items() if name != first or one.metric.loose}
    problems = [problem for name, problem in scores.problems.items() if name != first]
    if not found and not problems:
        not_applicable(f"{config.task.type} has no other metric than that of POST-110")
    said = "; ".join(map(str, found.values())) or "no score"
    evidence(said, problems=problems, **{name: one.as_evidence() for name, one in found.items()})
    report_findings(
        Finding(
            f"{one.metric.title} is worse than the base model's: {one.metric.written(one.tuned.value)}, "
            f"base {one.metric.written(one.base.value)}",
            observed=f"{one.change}, {counted(one.n, 'example')}",
            expected="not worse than the base",
            why="What the run gained elsewhere was paid for here.",
            fix=f"Compare both models' answers in the report; demand what matters under evaluation.metrics.{name}.",
        )
        for name, one in found.items()
        if one.n >= limits.min_examples and one.worse
    )
    if problems:
        not_available("; ".join(dict.fromkeys(problems)))
    if few := min((one.n for one in found.values() if one.n < limits.min_examples), default=0):
        not_available(f"{counted(few, 'held-out example')} can't tell: have at least {limits.min_examples}")

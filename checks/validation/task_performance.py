from collections.abc import Mapping
from typing import Any

from preflight import Finding, check, not_applicable, not_available, report_findings
from preflight.config import Config
from preflight.config.evaluation import Demand
from preflight.evaluation.metrics import defaults_of
from preflight.evaluation.scores import Compared, Scores
from preflight.findings import counted
from preflight.fixtures import Evidence

ITEM = "Task performance: tested on held-out examples"
TRAIN = "If the training loss still fell, train longer; if the validation loss rose, train fewer epochs."


@check(
    "POST-110",
    "task-performance",
    severity="required",
    section=6,
    item=ITEM,
    thresholds={"min_examples": 8, "max_overlap_loss": 0.2},
)
def the_model_does_its_task(config: Config, scores: Scores, evidence: Evidence, limits: Any) -> None:
    """The trained model reaches what the config demands of it, and is not worse at its task than its base.

    What it checks: Metrics of greedy answers to held-out prompts. Each of `evaluation.metrics` must reach its `min`,
    `max` and `min_gain` over the base model. One without a number must not be worse than the base's: it is if the whole
    95 % interval of the difference, from a paired bootstrap, says so. Without `evaluation.metrics` that holds for the
    first metric of the task type: accuracy (classification), F1 of words (qa), right final answers (reasoning). Where
    it only tells how many words are shared, as ROUGE-L does of free text, it has to lose a fifth of the base's value
    besides. Fewer than 8 examples can't tell.
    Why it matters: A loss can fall while the answers that people get become worse.
    How to fix: Look at the answers in the report. Answers that are no class, or have no final answer, show a format
    that was not learned; train longer, or make the answers of the training data consistent.
    Evidence: Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation", for paired resampling. 8
    examples as in POST-105: that all of 8 change the same way happens by chance once in 128. Shared words reflect
    quality weakly, but show a system that performs poorly (Novikova et al. 2017, arXiv:1707.06875); the fifth is ours.
    """
    demands = config.evaluation.demands or {defaults_of(config)[0]: Demand()}
    found = {name: scores.compared[name] for name in demands if name in scores.compared}
    problems = [problem for name, problem in scores.problems.items() if name in demands]
    if not found and not problems:
        not_applicable("the held-out examples ask nothing that could be answered; POST-105 judges the loss on them")
    few = [one for one in found.values() if one.n < limits.min_examples]
    values = {name: one.as_evidence() for name, one in found.items()}
    said = "; ".join(map(str, found.values())) or "no score"
    evidence(f"{said}{_size(list(found.values()))}{_unsure(found, demands)}", problems=problems, **values)
    loose = {} if config.evaluation.demands else dict.fromkeys(found, limits.max_overlap_loss)
    judged = {name: one for name, one in found.items() if one not in few}
    report_findings(
        finding
        for name, one in judged.items()
        for finding in _findings(config, one, demands[name], loose.get(name, 0.0))
    )
    if problems:
        not_available("; ".join(dict.fromkeys(problems)))
    if few:
        not_available(
            f"{counted(few[0].n, 'held-out example')} can't tell how good the model is: have at least "
            f"{limits.min_examples}, and let evaluation.max_examples and max_minutes admit them"
        )


def _size(found: list[Compared]) -> str:
    notes = {note: count for one in found for note, count in one.notes.items() if count}
    parts = [
        f", {counted(one.n, 'example')}" + (f" of {one.wanted}" if one.n < one.wanted else "") for one in found[:1]
    ]
    return "".join([*parts, *(f", {count} with {note}" for note, count in notes.items())])


def _unsure(found: Mapping[str, Compared], demands: Mapping[str, Demand]) -> str:
    """Which limits lie within the interval, so that other examples could have said otherwise."""
    names = [
        one.metric.title
        for name, one in found.items()
        for demand in [demands[name]]
        for limit, side in ((demand.min, one.tuned), (demand.max, one.tuned), (_gain(one, demand), one.difference))
        if limit is not None and side.low < limit < side.high
    ]
    return f"; the limit lies within the interval of {', '.join(dict.fromkeys(names))}" if names else ""


def _gain(one: Compared, demand: Demand) -> float | None:
    if demand.min_gain is None:
        return None
    return demand.min_gain if one.higher_is_better else -demand.min_gain


def _findings(config: Config, one: Compared, demand: Demand, overlap: float) -> list[Finding]:
    """What of a demand is not met. Comparisons are written so that a score that is no number meets none."""
    write, tuned = one.metric.written, one.tuned
    observed = f"{write(tuned.value)}, 95 % interval {write(tuned.low)} to {write(tuned.high)}, {one.n} examples"
    where = config.where(f"evaluation.metrics.{one.name}")
    missed = []
    if demand.min is not None and not tuned.value >= demand.min:
        missed.append(("too low", observed, f"at least {write(demand.min)}"))
    if demand.max is not None and not tuned.value <= demand.max:
        missed.append(("too high", observed, f"at most {write(demand.max)}"))
    if demand.min_gain is not None and not one.gain >= demand.min_gain:
        expected = f"better than the base's {write(one.base.value)} by {write(demand.min_gain, signed=True)}"
        missed.append(("not enough of a gain", f"{one.change}, {one.n} examples", expected))
    unlimited = demand.min is None and demand.max is None and demand.min_gain is None
    lost = overlap * abs(one.base.value) if one.metric.loose else 0
    if unlimited and one.worse and not one.gain > -lost:
        missed.append(("worse than the base model's", f"{one.change}, {one.n} examples", "not worse than the base"))
    why = "The answers are not as good as the config asks for."
    return [
        Finding(
            f"{one.metric.title} is {problem}: {write(tuned.value)}, base {write(one.base.value)}",
            where=where,
            observed=seen,
            expected=expected,
            why="People would be better served by the base model." if unlimited else why,
            fix=TRAIN if not one.notes else f"{_noted(one)}{TRAIN}",
        )
        for problem, seen, expected in missed
    ]


def _noted(one: Compared) -> str:
    return "".join(
        f"{count} of {one.n} answers have {note}: see samples in the report. "
        for note, count in one.notes.items()
        if count
    )

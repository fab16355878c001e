import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest

from preflight import Finding, accepted, check, not_applicable, not_available, report_findings
from preflight.accepted import Accepted, AcceptedError, Loss, Metric
from preflight.config import Config
from preflight.evaluation.comparison import Change, changes, of_loss
from preflight.evaluation.metrics import METRICS
from preflight.findings import NotApplicable
from preflight.fixtures import Evidence
from preflight.report.document import finite

LOSS = "held-out loss"


@check(
    "POST-117",
    "not-below-accepted",
    severity="required",
    section=6,
    item="Task performance: tested on held-out examples",
    thresholds={"tolerance": 0.02, "loose_tolerance": 0.1},
)
def the_model_is_not_worse_than_the_accepted_one(
    config: Config, request: pytest.FixtureRequest, evidence: Evidence, limits: Any
) -> None:
    """No metric, and not the held-out loss, is worse than the accepted run's.

    What it checks: Every metric that both runs have, and the held-out loss, against the file that `preflight accept`
    wrote. With 8 or more prompts of both runs they are compared prompt by prompt, with a bootstrap interval; scores
    that are no mean of examples, such as F1 or BLEU, by the intervals of both. A metric with `max_drop` may be that
    much worse. One without may be worse as long as its 95 % interval reaches no change, or by at most 2 % of the
    accepted value; one that counts words in common, such as ROUGE, by 10 %.
    Why it matters: The run before was good enough for somebody to sign for it. A worse one should not take its place
    unseen.
    How to fix: Compare what changed since: config, data, versions. If the drop is meant, set `max_drop` of the metric,
    or delete the accepted file, see the postflight green, and accept this run.
    Evidence: Koehn 2004 for resampling examples pairwise. Another seed moves a score too, and no interval over examples
    knows of that (Dodge et al. 2020, arXiv:2002.06305): hence the 2 % and 10 %, which are ours.
    """
    path = accepted.accepted_path(config)
    name = path.relative_to(config.folder).as_posix() if path.is_relative_to(config.folder) else str(path)
    again = f"delete it, run pytest --postflight {config.path.name}, and then preflight accept {config.path.name}"
    try:
        before = accepted.read(path)
    except AcceptedError as error:
        not_available(f"{name} can't be read ({error}): take it from git again, or {again}")
    if before is None:
        not_applicable(
            f"no run has been accepted: preflight accept {config.path.name} after a green postflight writes {name}"
        )
    if before.weights == accepted.weights_of(config):
        evidence(f"this is the accepted run, of {before.accepted}", by=before.by)
        return
    base, data = accepted.base_of(config), accepted.data_of(config)
    if before.base.weights != base.weights:
        not_available(
            f"{name} is of a model on another base, {before.base.name}, and this one is on {base.name}: comparing them "
            f"says nothing of what changed in the training. To begin anew with this base, {again}"
        )
    found = _compared(before, _metrics(request), _loss(request), same_data=before.data.asked == data.asked)
    told = {key: change for key, change in found.items() if change}
    missing = [key for key, change in found.items() if change is None]
    if not told:
        other = "of other held-out data" if before.data != data else "without a score that this run has too"
        not_available(f"{name} is {other}, and can't be compared with this run. To begin anew, {again}")
    drops = {key: demand.max_drop for key, demand in config.evaluation.demands.items()}
    share = {key: limits.loose_tolerance if _is_loose(key) else limits.tolerance for key in told}
    worse = [key for key, change in told.items() if change.too_much(drops.get(key), share[key])]
    evidence(
        f"{len(told) - len(worse)} of {len(told)} not below the run accepted on {before.accepted}"
        + (f"; not compared, for want of examples that both have: {', '.join(missing)}" if missing else ""),
        by=before.by,
        commit=before.commit,
        compared={key: _numbers(change) for key, change in told.items()},
    )
    report_findings(_finding(key, told[key], drops.get(key), share[key], (name, before)) for key in worse)


def _metrics(request: pytest.FixtureRequest) -> dict[str, Metric]:
    """The scores of this run, as `preflight accept` would keep them."""
    try:
        return accepted.metrics_of(finite(request.getfixturevalue("scores").as_json()))
    except NotApplicable:
        return {}


def _loss(request: pytest.FixtureRequest) -> Loss | None:
    try:
        return accepted.loss_of(asdict(request.getfixturevalue("held_out")))
    except NotApplicable:
        return None


def _compared(
    before: Accepted, metrics: Mapping[str, Metric], loss: Loss | None, *, same_data: bool
) -> dict[str, Change | None]:
    """The change of each number that both have, by the name of the metric; None where it can't be told."""
    found = changes(before.metrics, metrics, same_data=same_data)
    if before.held_out is not None and loss is not None:
        found[LOSS] = of_loss(before.held_out, loss)
    return found


def _is_loose(key: str) -> bool:
    return key in METRICS and METRICS[key].loose


def _numbers(change: Change) -> dict[str, Any]:
    return {key: value for key, value in asdict(change).items() if key != "title" and value != -math.inf}


def _finding(key: str, change: Change, max_drop: float | None, share: float, source: tuple[str, Accepted]) -> Finding:
    name, before = source
    since = f"commit {before.commit[:12]}" if before.commit else f"the run of {before.accepted}"
    meant = f"delete {name}, and accept this run once its postflight is green"
    if key != LOSS:
        meant = f"set evaluation.metrics: {{{key}: {{max_drop: {change.allowance:g}}}}}"
    return Finding(
        f"{change.title} is worse than that of the accepted run: {change.now:.4g}, and it was {change.then:.4g}",
        where=name,
        observed=change.in_words,
        expected=f"at most {f'{share:.0%}' if max_drop is None else f'{max_drop:g}'} worse",
        why=f"{before.by} accepted a better model on {before.accepted}, and this one would take its place.",
        fix=f"Compare config and data with {since}, and train again. If the drop is meant, {meant}.",
    )

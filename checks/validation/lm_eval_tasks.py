from typing import Any

from preflight import Finding, check, not_applicable, not_available, report_findings
from preflight.config import Config
from preflight.evaluation.harness import Score, scores_of
from preflight.evaluation.trained import Trained
from preflight.findings import counted
from preflight.fixtures import Evidence


@check(
    "POST-115",
    "lm-eval-tasks",
    severity="required",
    section=6,
    item="No regression: benchmarks",
    thresholds={"max_drop": 0.02},
)
def benchmark_scores_are_kept(config: Config, trained: Trained, evidence: Evidence, limits: Any) -> None:
    """The trained model scores as well as its base on the tasks of `evaluation.lm_eval`.

    What it checks: lm-evaluation-harness runs the named tasks on both, without a chat template, and the main metric of
    each (accuracy, exact match, F1, else the first) must not be worse by more than 0.02, or 2 % of metrics that go
    beyond 1, and by two standard errors: of the paired differences where samples have scores, else of both scores
    together. Groups that the harness sums up count as one. Fewer than 8 samples can't tell. It takes the time that it
    takes: set `limit` and see. Tasks of your own, with local data, lie in `include_path`; the harness's own download
    their data once.
    Why it matters: Benchmarks show lost abilities that nobody wrote a prompt for.
    How to fix: Lower the learning rate, the rank or the number of epochs, or mix 5-20 % general examples into
    data.train.
    Evidence: hiyouga/LlamaFactory#2611 (general abilities lost by narrow training). Two standard errors are about
    97.5 % confidence, one-sided. That 0.02 may be lost is this project's choice.
    """
    wanted = config.evaluation.lm_eval
    if wanted is None:
        not_applicable("the config has no evaluation.lm_eval")
    scores = scores_of(config, wanted, trained)
    few = [score for score in scores if score.samples < 8]
    evidence(
        ", ".join(f"{score.task} {score.tuned:.3f} (base: {score.base:.3f})" for score in scores[:3])
        + (f" and {len(scores) - 3} more" if len(scores) > 3 else ""),
        tasks=[vars(score) for score in scores],
    )
    if few:
        not_available(
            f"{few[0].task} has {counted(few[0].samples, 'sample')}, which can't tell: have at least 8, and set "
            "evaluation.lm_eval.limit to no less"
        )
    report_findings(_finding(score, limits.max_drop) for score in scores if _lost(score, limits.max_drop))


def _lost(score: Score, max_drop: float) -> bool:
    kept = score.drop <= max_drop * max(1, abs(score.base))  # NaN is not kept
    return not kept and not (score.error is not None and score.drop <= 2 * score.error)


def _finding(score: Score, max_drop: float) -> Finding:
    error = "" if score.error is None else f" ± {score.error:.3f}"
    return Finding(
        f"{score.task}: {score.metric.removesuffix(',none')} is worse than the base's",
        where=score.task,
        observed=f"{score.tuned:.3f}, worse by {score.drop:.3f}{error} on {counted(score.samples, 'sample')}",
        expected=f"the base's {score.base:.3f}, and at most {max_drop * max(1, abs(score.base)):.3f} worse",
        why="The model has lost something that its base could do.",
        fix="Halve training.learning_rate or the number of epochs, or mix 5-20 % general examples into data.train.",
    )

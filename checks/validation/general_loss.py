import math
from collections import defaultdict
from statistics import fmean, stdev
from typing import Any

from preflight import Finding, check, not_available, report_findings
from preflight.evaluation.general import General, Passage
from preflight.findings import counted
from preflight.fixtures import Evidence

WORST = 5  # passages that are shown


@check(
    "POST-112",
    "general-loss-kept",
    severity="required",
    section=6,
    item="No regression: general capabilities compared to the base model",
    thresholds={"max_rise": 0.1},
)
def the_model_reads_general_text_as_well_as_its_base(general: General, evidence: Evidence, limits: Any) -> None:
    """The trained model's perplexity on general text is not much above its base's.

    What it checks: Loss of both on the same passages: 59 short ones that were written for this project (facts,
    dialogue, code, tables, arithmetic, instructions, five languages), or those of `evaluation.general`: .txt files with
    blank lines between passages, or rows with `text` and perhaps `kind`. Perplexity must not have risen by more than a
    tenth, unless the mean of the paired differences is less than two standard errors above zero. Fewer than 8 passages
    can't tell.
    Why it matters: A model trained too hard on narrow data forgets what it knew: other languages, code, how to
    reason. The task's own loss doesn't show that.
    How to fix: Lower the learning rate, the rank or the number of epochs, take an earlier checkpoint, or mix 5-20 %
    general examples into data.train.
    Evidence: hiyouga/LlamaFactory#2611, smallcloudai/refact#311. Threshold: SmolLM2-135M-Instruct had a perplexity 8 %
    lower after sound LoRA runs of 55 steps at 2e-4 and 64 at 5e-4, and 38 % higher after 40 at 5e-3 on 20 rows.
    """
    count = len(general.passages)
    if count < 8:
        not_available(
            f"{counted(count, 'general passage')} can't be compared: have at least 8 in evaluation.general, and let "
            "evaluation.max_minutes admit them"
        )
    rises = [passage.tuned - passage.base for passage in general.passages]
    finite = all(map(math.isfinite, rises))
    mean, error = (fmean(rises), stdev(rises) / math.sqrt(count)) if finite else (math.nan, math.nan)
    rise = math.expm1(mean)
    evidence(
        f"perplexity {rise:+.1%} against the base on {counted(count, 'passage')}{general.passages.note}",
        rise=rise,
        mean_difference=mean,
        standard_error=error,
        base=fmean(passage.base for passage in general.passages),
        tuned=fmean(passage.tuned for passage in general.passages),
        passages=count,
        kinds={kind: {"base": base, "tuned": tuned} for kind, (base, tuned) in _by_kind(general).items()},
    )
    if finite and (rise <= limits.max_rise or mean <= 2 * error):
        return
    overall = Finding(
        f"perplexity on general text has risen by {rise:.0%}" if finite else "the loss on general text is no number",
        observed=f"loss {mean:+.3f} ± {error:.3f} nats a token; most in {_most(general)}" if finite else None,
        expected=f"perplexity up by at most {limits.max_rise:.0%}",
        why="The model has forgotten part of what its base could do.",
        fix="Halve training.learning_rate or the number of epochs, or mix 5-20 % general examples into data.train."
        if finite
        else "Lower training.learning_rate by 2-10x and train again.",
    )
    report_findings([overall, *map(_shown, _worst(general.passages.found) if finite else ())])


def _by_kind(general: General) -> dict[str, tuple[float, float]]:
    """Mean loss of base and tuned model."""
    kinds: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for passage in general.passages:
        kinds[passage.kind].append((passage.base, passage.tuned))
    return {kind: (fmean(one for one, _ in both), fmean(other for _, other in both)) for kind, both in kinds.items()}


def _most(general: General) -> str:
    kinds = {kind: tuned - base for kind, (base, tuned) in _by_kind(general).items()}
    return ", ".join(f"{kind} {kinds[kind]:+.2f}" for kind in sorted(kinds, key=lambda kind: -kinds[kind])[:3])


def _worst(passages: Any) -> list[Passage]:
    return sorted(passages, key=lambda passage: passage.base - passage.tuned)[:WORST]


def _shown(passage: Passage) -> Finding:
    return Finding(
        f"it is among the most forgotten: {' '.join(passage.text.split())[:80]!r}",
        where=passage.key,
        observed=f"loss {passage.tuned:.2f}",
        expected=f"about the base's {passage.base:.2f}",
    )

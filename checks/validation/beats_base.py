import math
from statistics import fmean, stdev

from preflight import Finding, check, not_available, report_findings
from preflight.evaluation.loss import HeldOut
from preflight.findings import counted
from preflight.fixtures import Evidence


@check(
    "POST-105",
    "beats-base",
    severity="required",
    section=6,
    item="Task performance: tested on held-out examples",
)
def the_model_beats_its_base_on_held_out_examples(held_out: HeldOut, evidence: Evidence) -> None:
    """The trained model has a lower loss than its base on held-out examples.

    What it checks: Loss of both on the same validation examples; the mean of the paired differences must be below zero
    by two standard errors. Fewer than 8 examples can't tell.
    Why it matters: If it doesn't beat its base on the task, the run was for nothing; if it is worse, it does harm.
    How to fix: Train longer or with a higher rate if the training loss still falls; with fewer epochs if it fell and
    the validation loss rose.
    Evidence: the checklist's section 6. Two standard errors are about 97.5 % confidence, one-sided.
    """
    count = len(held_out.tuned)
    if count < 8:
        not_available(
            f"{counted(count, 'held-out example')} can't be compared: have at least 8 in data.validation, and let "
            "evaluation.max_examples and max_minutes admit them"
        )
    gains = [tuned - base for base, tuned in zip(held_out.base, held_out.tuned, strict=True)]
    finite = all(map(math.isfinite, gains))
    mean, error = (fmean(gains), stdev(gains) / math.sqrt(count)) if finite else (math.nan, math.nan)
    evidence(
        f"loss {held_out.tuned_mean:.3f}, base {held_out.base_mean:.3f}, {count} examples",
        tuned=held_out.tuned_mean,
        base=held_out.base_mean,
        examples=count,
        mean_difference=mean,
        standard_error=error,
    )
    if mean + 2 * error < 0:
        return
    report_findings(
        [
            Finding(
                "the trained model is not better than its base on held-out examples",
                observed=f"loss {held_out.tuned_mean:.3f}, difference {mean:+.3f} ± {error:.3f}",
                expected=f"below the base's {held_out.base_mean:.3f} by two standard errors",
                why="The run taught nothing that carries over to examples it has not seen.",
                fix="If the training loss fell, train fewer epochs; if not, raise training.learning_rate by 2x."
                if finite
                else "Lower training.learning_rate by 2-10x and train again: the model's loss is no number.",
            )
        ]
    )

import math
from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.rehearsal import Rehearsal


@check(
    "RUN-202",
    "repeated-batch-learned",
    severity="recommended",
    section=4,
    item="Training script: test with small subset first",
    thresholds={"min": 0.05, "max_rise": 0.0, "max_rise_half": 0.005},
)
def the_loss_of_a_repeated_batch_falls(config: Config, rehearsal: Rehearsal, evidence: Evidence, limits: Any) -> None:
    """The loss of a batch that is trained on again and again falls.

    What it checks: The mean loss of a supervised token of the batch of median length, without dropout, before the first
    step and after the last of the rehearsal, which trains on it three times at the full learning rate. With 16 bits it
    may seem to rise by half a percent. A loss that is almost zero from the start is not judged.
    Why it matters: A run that can't learn one batch by heart can't learn anything: what is trained doesn't reach the
    output, or the rate is so high that each step overshoots.
    How to fix: Lower `training.learning_rate` by 2-10x if the loss rises; see RUN-204, RUN-209 and RUN-210 if it stays.
    Evidence: huggingface/peft#793 and tloen/alpaca-lora#357 trained adapters that did nothing.
    """
    before, after = rehearsal.reached(rehearsal.fresh), rehearsal.reached(rehearsal.trained)
    evidence(f"{before:.3f} to {after:.3f} in {len(rehearsal.steps)} steps", before=str(before), after=str(after))
    if not math.isfinite(before):
        not_applicable("the first loss is not a number; see RUN-204")
    if before < limits.min:
        not_applicable(f"the loss is {before:.3f} before the first step: there is nothing left to fall")
    if all(step.skipped for step in rehearsal.steps):
        not_applicable("fp16's loss scaler skipped every step; see RUN-204")
    allowed = limits.max_rise_half if rehearsal.half else limits.max_rise
    if after < before * (1 + allowed):
        return
    rate = config.training_value("learning_rate")
    report_findings(
        [
            Finding(
                f"the loss of a repeated batch doesn't fall: {before:.3f} before, {after:.3f} after",
                where=config.where("training.learning_rate"),
                observed=f"{(after - before) / before:+.1%}",
                expected="below the first loss",
                why="What can't be learned by heart in a few steps isn't learned from the whole data either.",
                fix="See RUN-204, RUN-209 and RUN-210 for what doesn't train."
                if after == before
                else f"Set training.learning_rate: {rate / 5:.1e}.",
            )
        ]
    )

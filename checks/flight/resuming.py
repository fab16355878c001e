from typing import Any

import numpy as np

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.plan import Plan
from preflight.flight.trend import finite, noise


@check(
    "RUN-115",
    "resumes-where-it-stopped",
    severity="required",
    section=5,
    item="Loss tracking: a resumed run goes on where it stopped",
    thresholds={"max_jump": 0.2, "logged": 5},
)
def a_resumed_run_goes_on_where_it_stopped(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """A run that was resumed goes on with the loss that it had.

    What it checks: The first losses after a resume against the last five before: higher by 0.2 and by 20 %, by more
    than noise could do, and more than half of the way back to the loss of the start.
    Why it matters: The step counter goes on while the adapter starts afresh: what was learned before is lost.
    How to fix: Start the run again from its beginning: remove the checkpoints, or resume from an older one.
    Evidence: huggingface/lerobot#3459, huggingface/transformers#24274, tloen/alpaca-lora#72.
    """
    losses = finite(run_log.curve("loss"))
    marks = run_log.curve("resumed").steps
    if not len(marks):
        not_applicable("the run was not resumed")
    before, after = losses.values[losses.steps <= marks[-1]], losses.values[losses.steps > marks[-1]][: limits.logged]
    if len(before) < 2 or not len(after):
        not_applicable("too few losses are logged around the resume")
    then, now, start = float(before[-limits.logged :].mean()), float(after.mean()), float(before[0])
    evidence(f"{then:.3f} before, {now:.3f} after step {int(marks[-1])}", before=then, after=now)
    spread = 3 * noise(before) * float(np.sqrt(1 / len(after) + 1 / min(len(before), limits.logged)))
    if now - then <= max(0.2, limits.max_jump * then, spread) or now < (then + start) / 2:
        return
    report_findings(
        [
            Finding(
                f"the loss jumped back when the run was resumed: {then:.3f} before, {now:.3f} after",
                where=f"step {int(marks[-1])}",
                observed=f"{now - then:+.3f}",
                expected=f"{max(0.2, limits.max_jump * then):+.3f} or less",
                why="The adapter started afresh: what was learned before the resume is lost.",
                fix="Remove the checkpoints from training.output_dir and train from the beginning.",
            )
        ]
    )

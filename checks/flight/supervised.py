import numpy as np

from preflight import Finding, check, not_applicable, report_findings
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.flight import Log


@check(
    "RUN-107",
    "steps-supervised",
    severity="recommended",
    section=5,
    item="Loss tracking: every step has something to learn",
)
def every_step_has_supervised_tokens(run_log: Log, evidence: Evidence) -> None:
    """Every optimizer step has at least one supervised token.

    What it checks: `supervised` in the run log: the fewest supervised tokens of a step since the last logged one, all
    processes and accumulated batches together.
    Why it matters: A step without any has no loss: some loss functions divide by zero there and leave NaN in the
    weights, others waste the step.
    How to fix: Drop the rows without supervised tokens (DATA-102 names them), or raise
    `training.gradient_accumulation_steps` so that a step sees more rows.
    Evidence: huggingface/trl#6671 and NVIDIA-NeMo/Automodel#3796, weights that a fully masked batch turned into NaN.
    """
    fewest = run_log.curve("supervised")
    if not len(fewest):
        not_applicable("supervised tokens are not in the run log")
    evidence(f"fewest {int(fewest.values.min()):,}, median {int(np.median(fewest.values)):,}")
    empty = fewest.steps[fewest.values == 0]
    if len(empty):
        report_findings(
            [
                Finding(
                    f"{counted(len(empty), 'logged step')} with no supervised token",
                    where=f"step {int(empty[0])}",
                    observed="0",
                    expected="1 or more",
                    why="Such a step learns nothing, and a loss that divides by its tokens destroys the weights.",
                    fix="Drop the rows without supervised tokens, or raise training.gradient_accumulation_steps.",
                )
            ]
        )

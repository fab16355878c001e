from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.rehearsal import Rehearsal


@check(
    "RUN-208",
    "accumulation-exact",
    severity="recommended",
    section=4,
    item="Gradient accumulation: effective batch size",
    thresholds={"max_difference": 0.01, "max_difference_half": 0.2},
)
def accumulated_gradients_are_those_of_one_batch(
    config: Config, rehearsal: Rehearsal, evidence: Evidence, limits: Any
) -> None:
    """Two rows of different length give the same gradient at once as one after the other, accumulated.

    What it checks: The gradients of all adapter matrices for two rows, in one batch and in two micro batches, without
    dropout, through the trainer's own step; their difference, relative to their size. Mixtures of experts with a
    balancing loss are not judged: that loss is a mean over a micro batch.
    Why it matters: A loss that is averaged over micro batches rather than over tokens gives short answers more weight,
    and one that is summed multiplies the learning rate by the accumulation.
    How to fix: Upgrade transformers and TRL; set `training.gradient_accumulation_steps: 1` with a larger batch.
    Evidence: huggingface/transformers#34191, huggingface/transformers#35438 and huggingface/transformers#37766: losses
    normalised by micro batch, in releases from 4.46 on. Thresholds: 1 %, where
    float32 rounds to 1e-6, and 20 % for 16 bits, which come to 6 %.
    """
    if config.training_value("gradient_accumulation_steps") == 1:
        not_applicable("the run doesn't accumulate gradients")
    if config.lora is None:
        not_applicable("full fine-tuning: the gradients of all weights twice would take too much memory")
    difference = rehearsal.summed
    if difference is None:
        rehearsal.reached(rehearsal.steps or None)
        not_applicable("no two rows could be compared")
    evidence(f"gradients differ by {difference:.1%}", difference=str(difference))
    limit = limits.max_difference_half if rehearsal.half else limits.max_difference
    if difference > limit:
        report_findings(
            [
                Finding(
                    "accumulated gradients are not those of the whole batch",
                    where=config.where("training.gradient_accumulation_steps"),
                    observed=f"{difference:.0%} of their size",
                    expected=f"{limit:.0%} or less",
                    why="Short answers weigh more than long ones, or the learning rate is not the one that was set.",
                    fix="Upgrade transformers and TRL, or set training.gradient_accumulation_steps: 1.",
                )
            ]
        )

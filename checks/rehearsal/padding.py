import math
from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.rehearsal import Rehearsal


@check(
    "RUN-207",
    "padding-harmless",
    severity="recommended",
    section=4,
    item="Padding: right side for training",
    thresholds={"max_difference": 0.01, "max_difference_half": 0.2},
)
def a_padded_row_is_what_it_is_alone(config: Config, rehearsal: Rehearsal, evidence: Evidence, limits: Any) -> None:
    """A row gives the same in a batch, padded, as it gives alone.

    What it checks: The shortest row is given to the model alone and beside one of median length, by the run's own
    collator; log-probabilities of its supervised tokens are compared.
    Why it matters: If padding leaks into a row, every batch but the longest rows is trained on something else than its
    text. Query rows that may look at nothing give NaN, which spreads to the whole batch.
    How to fix: Try `model.attn_implementation: eager`, which shows whether the attention kernel is at fault; upgrade
    torch and transformers; `training.padding_free: true` with flash attention pads nothing.
    Evidence: pytorch/pytorch#103749, huggingface/transformers#31035 and unslothai/unsloth#427: NaN in rows that are
    padded. Thresholds: float32 differs by about 1e-5, 16 bits by up to 0.06.
    """
    difference = rehearsal.padding
    if difference is None:
        rehearsal.reached(rehearsal.steps or None)
        not_applicable("no row is padded in this run")
    evidence(f"log-probabilities differ by {difference:.1g}", difference=str(difference))
    limit = limits.max_difference_half if rehearsal.half else limits.max_difference
    if difference > limit or not math.isfinite(difference):
        report_findings(
            [
                Finding(
                    "a row gives something else when it is padded",
                    where=config.where("model.attn_implementation"),
                    observed=f"log-probabilities differ by {difference:.3g} on average",
                    expected=f"{limit} or less",
                    why="Short rows are trained on what padding makes of them.",
                    fix="Set model.attn_implementation: eager; if that helps, upgrade torch and transformers.",
                )
            ]
        )

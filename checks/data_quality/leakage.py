from typing import Any

from preflight import Finding, check, report_findings
from preflight.data.store import Split
from preflight.fixtures import Evidence


@check(
    "DATA-105",
    "no-leakage",
    severity="required",
    section=1,
    item="Train/val split: 90/10, or 95/5 for small datasets",
    thresholds={"max_fraction": 0.02},
)
def no_validation_example_is_in_the_training_data(
    train: Split, validation: Split, evidence: Evidence, limits: Any
) -> None:
    """No validation example stands in the training data.

    What it checks: Rendered validation examples that equal a training example, and prompts that both have.
    Why it matters: A leaked example is answered by heart, so the validation loss and every metric flatter the model.
    How to fix: Delete the named validation rows, or split again after deduplicating.
    Evidence: deepchecks warns from 5 % leaked rows; preflight blocks from 2 %.
    """
    profile = validation.profile
    known = set(train.profile["prompt_hash"])
    leaked = profile[profile["prompt_hash"].isin(known)]
    share = len(leaked) / len(profile)
    evidence(f"{len(leaked)} of {len(profile)} prompts leak", leaked=len(leaked), share=share)
    if share <= limits.max_fraction:
        return
    originals = train.profile.drop_duplicates("prompt_hash").set_index("prompt_hash")["where"]
    report_findings(
        Finding(
            f"the same prompt as {originals[row.prompt_hash]} of the training data",
            where=row.where,
            why="The model answers it by heart: the validation loss flatters it.",
            fix="Delete this row from the validation data.",
        )
        for row in leaked.itertuples()
    )

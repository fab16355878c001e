from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data import copies
from preflight.data.store import Split
from preflight.fixtures import Evidence


@check(
    "DATA-105",
    "no-leakage",
    severity="required",
    section=1,
    item="Train/val split: 90/10, or 95/5 for small datasets",
    thresholds={"max_fraction": 0.01},
)
def no_validation_example_is_in_the_training_data(
    config: Config, train: Split, validation: Split, evidence: Evidence, limits: Any
) -> None:
    """No validation example stands in the training data.

    What it checks: Validation examples whose prompt and answer equal those of a training example, but for spaces and
    capitals. The prompt is all that stands before the last answer, so chats that only begin the same are different.
    Why it matters: A leaked example is answered by heart, so the validation loss and every metric flatter the model.
    How to fix: Delete the named validation rows, or let the gate split: `data.validation_split` holds out whole groups
    of rows that ask the same.
    Evidence: huggingface/datasets#4261, TelecomsXChangeAPi/OpenTextShield#194. Threshold: 1 % of the validation rows.
    """
    found = copies.leaked(train.profile, validation.profile)
    share = len(found) / validation.rows
    evidence(f"{len(found)} of {validation.rows} examples leak", leaked=len(found), share=share)
    if share <= limits.max_fraction:
        return
    why = "The model answers it by heart: the validation loss flatters it."
    # The gate itself parts no rows that ask the same unless hardly any others are there.
    fix = "Delete copies from the training data: nearly all rows of data.train ask the same."
    report_findings(
        copies.findings(
            found,
            Finding(
                "the same example as {original} of the training data",
                why=why,
                fix=fix if config.data.validation_split else "Delete this row from the validation data.",
            ),
            Finding(
                f"{len(found):,} of {validation.rows:,} validation examples stand in the training data",
                observed=f"{share:.1%}",
                expected=f"at most {limits.max_fraction:.0%}",
                why=why,
                fix=fix if config.data.validation_split else f"Delete {len(found):,} rows from the validation data.",
            ),
        )
    )

from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.store import Split
from preflight.fixtures import Evidence


@check(
    "DATA-140",
    "something-supervised",
    severity="required",
    section=1,
    item="Tokenizer alignment: verified tokenizer handles format",
    waivable=False,
    thresholds={"max_fraction": 0.0},
)
def every_example_has_a_supervised_token(config: Config, train: Split, evidence: Evidence, limits: Any) -> None:
    """Every example has at least one supervised token after truncation.

    What it checks: Labels of the prepared rows, as the model will see them.
    Why it matters: A row without one adds nothing; a batch of them logs a loss of 0 or NaN while the run goes on.
    How to fix: Raise `training.max_length` above the prompt's length, add an answer to the row, or drop it.
    Evidence: huggingface/trl#6025 and unslothai/unsloth#1128 (labels beyond max_length), huggingface/trl#4201
    (assistant_only_loss without generation markers).
    """
    profile = train.profile
    none = profile[profile["supervised"] == 0]
    tokens = int(profile["supervised"].sum())
    share = tokens / max(int(profile["kept"].sum()), 1)
    evidence(f"{tokens} supervised tokens, {share:.0%} of all", supervised=tokens, share=share, empty=len(none))
    if len(none) <= limits.max_fraction * len(profile):
        return
    limit = config.training_value("max_length")
    report_findings(
        Finding(
            "no token of this row is supervised",
            where=row.where,
            observed=f"{row.length} tokens, of them {row.answer} to learn, max_length {limit}",
            expected="at least 1 supervised token",
            why="The row adds nothing to the loss.",
            fix=f"Set training.max_length to {row.length}." if row.answer else "Add an answer, or drop the row.",
        )
        for row in none.itertuples()
    )

from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.store import Prepared, Split
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
def every_example_has_a_supervised_token(
    config: Config, train: Split, prepared: Prepared, evidence: Evidence, limits: Any
) -> None:
    """Every example has at least one supervised token after truncation.

    What it checks: Labels of the prepared rows of both splits, as the model will see them.
    Why it matters: A row without one adds nothing; a batch of them logs a loss of 0 or NaN while the run goes on. One
    such batch in the validation data makes its whole loss NaN, and the best checkpoint is never found.
    How to fix: Raise `training.max_length` above the prompt's length, add an answer to the row, or drop it.
    Evidence: huggingface/trl#6025 and unslothai/unsloth#1128 (labels beyond max_length), huggingface/trl#4201
    (assistant_only_loss without generation markers); meta-llama/llama-cookbook#133 and #190 (validation).
    """
    tokens = int(train.profile["supervised"].sum())
    share = tokens / max(int(train.profile["kept"].sum()), 1)
    empty = {split.name: split.profile[split.profile["supervised"] == 0] for split in prepared.splits.values()}
    evidence(
        f"{tokens} supervised tokens, {share:.0%} of all",
        supervised=tokens,
        share=share,
        empty=len(empty["train"]),
        empty_validation=len(empty.get("validation", ())),
    )
    limit = config.training_value("max_length")
    report_findings(
        Finding(
            "no token of this row is supervised",
            where=row.where,
            observed=f"{row.length} tokens, of them {row.answer} to learn, max_length {limit}",
            expected="at least 1 supervised token",
            why="The row adds nothing to the loss." if name == "train" else "A batch of such rows makes the loss NaN.",
            fix=f"Set training.max_length to {row.length}." if row.answer else "Add an answer, or drop the row.",
        )
        for name, none in empty.items()
        if len(none) > limits.max_fraction * prepared.splits[name].rows
        for row in none.itertuples()
    )

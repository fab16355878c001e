from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.label import IGNORE
from preflight.data.store import Split
from preflight.findings import not_applicable
from preflight.fixtures import Evidence


@check(
    "TOK-124",
    "packing-keeps-labels",
    severity="required",
    section=1,
    item="Tokenizer alignment: verified tokenizer handles format",
    thresholds={"max_difference": 0.01},
)
def packed_rows_are_supervised_as_single_ones(config: Config, train: Split, evidence: Evidence, limits: Any) -> None:
    """Packed rows have the supervised tokens that the single examples have.

    What it checks: The number of supervised tokens in the packed rows and in the examples they were made of.
    Why it matters: Packing that loses the masks puts the loss on prompts, or on nothing.
    How to fix: Switch `training.packing` off, or upgrade TRL.
    Evidence: huggingface/trl#3749, huggingface/trl#1163. Threshold: 1 %.
    """
    if not config.training_value("packing"):
        not_applicable("training.packing is off")
    import pyarrow.compute as pc

    packed, single = (
        int(pc.sum(pc.not_equal(pc.list_flatten(data.data.column("labels")), IGNORE)).as_py() or 0)
        for data in (train.dataset, train.examples)
    )
    evidence(f"{packed:,} supervised tokens packed, {single:,} before", packed=packed, single=single)
    if abs(packed - single) <= limits.max_difference * single:
        return
    report_findings(
        [
            Finding(
                "packing changes what is supervised",
                where=config.where("training.packing"),
                observed=f"{packed:,} supervised tokens",
                expected=f"{single:,}, as before packing",
                why="The loss is on other tokens than the examples say.",
                fix="Set training.packing: false, or upgrade TRL.",
            )
        ]
    )

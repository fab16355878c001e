from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.store import Prepared
from preflight.findings import counted
from preflight.fixtures import Evidence


@check(
    "TOK-125",
    "rows-kept",
    severity="required",
    section=1,
    item="Format consistency: all examples follow an identical template",
    thresholds={"min_fraction": 0.9},
)
def nearly_all_rows_reach_the_training_set(config: Config, prepared: Prepared, evidence: Evidence, limits: Any) -> None:
    """Nearly all rows of the data become training examples.

    What it checks: The share of rows that are left after reading, normalising and rendering. Each row that is not is
    named by DATA-100, DATA-101 or TOK-100; this holds even if those are waived.
    Why it matters: A training set that is much smaller than you think lacks what the lost rows would have taught, and
    they are seldom lost at random.
    How to fix: Correct the rows that these checks name, the most frequent problem first.
    Evidence: axolotl-ai-cloud/axolotl#1731, axolotl-ai-cloud/axolotl#3401 (rows dropped silently). Threshold: 90 %.
    """
    train = prepared.train
    total = train.rows + train.dropped
    share = train.rows / max(total, 1)
    evidence(f"{train.rows:,} of {counted(total, 'row')} kept", rows=train.rows, dropped=train.dropped, share=share)
    if share >= limits.min_fraction or not total:
        return
    kinds = [problem["kind"] for problem in train.problems]
    report_findings(
        [
            Finding(
                f"only {share:.0%} of the rows become training examples",
                where=train.problems[0]["where"] if train.problems else config.where("data.train"),
                observed=f"{train.dropped:,} of {total:,} lost: {', '.join(sorted(set(kinds)))}",
                expected=f"at least {limits.min_fraction:.0%}",
                why="The model never sees what the lost rows would have taught.",
                fix="Correct the rows that DATA-100, DATA-101 and TOK-100 name.",
            )
        ]
    )

import math
from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.store import Prepared, Split
from preflight.findings import counted
from preflight.fixtures import Evidence

FEW = 30  # validation rows; fewer leave a share as vague as 18 points either way
SMALL = 1000  # rows: below, the checklist holds out 5 % instead of 10 %
ENOUGH = 400  # validation rows, which tell a share to within 5 points
STEP, MOST = 0.05, 0.2  # of the shares that are suggested


def share_to_hold_out(rows: int) -> float:
    """The share of rows to validate by: the checklist's, or as much more as it takes to have FEW rows, up to MOST."""
    if rows >= SMALL:
        return 0.1
    return max(STEP, min(round(math.ceil(FEW / max(rows, 1) / STEP) * STEP, 2), MOST))


@check(
    "DATA-130",
    "validation-present",
    severity="recommended",
    section=1,
    item="Train/val split: 90/10, or 95/5 for small datasets",
)
def there_is_validation_data(config: Config, prepared: Prepared, evidence: Evidence) -> None:
    """There is validation data.

    What it checks: `data.validation` or `data.validation_split` is set, and holds rows.
    Why it matters: Without it nothing shows overfitting, and the trained model can't be compared with its base.
    How to fix: Set `data.validation_split: 0.1` (0.05 below 1,000 rows, and more where that is less than 30 rows), or
    name a held-out file.
    Evidence: the checklist's 90/10 and 95/5. Example recipes leave it out (48 of 102 published ones), real runs
    shouldn't.
    """
    rows = prepared.train.rows
    split = prepared.validation
    if split is not None and split.rows:
        evidence(f"{split.rows} rows, {split.rows / (split.rows + rows):.0%} of all", rows=split.rows)
        return
    share = share_to_hold_out(rows)
    evidence("none", rows=0)
    report_findings(
        [
            Finding(
                "there is no validation data",
                where=config.where("data"),
                why="Overfitting stays invisible, and the result can't be compared with the base model.",
                fix=f"Set data.validation_split: {share} (about {round(rows * share)} of {rows} rows).",
            )
        ]
    )


@check(
    "DATA-113",
    "split-share",
    severity="recommended",
    section=1,
    item="Train/val split: 90/10, or 95/5 for small datasets",
    thresholds={"min_rows": FEW, "enough_share": 0.1, "min_share": 0.01, "enough_rows": ENOUGH, "max_share": 0.3},
)
def validation_is_neither_too_small_nor_too_large(
    config: Config, train: Split, validation: Split, evidence: Evidence, limits: Any
) -> None:
    """The validation data is large enough to tell something, and leaves enough to train on.

    What it checks: At least 30 validation rows (or a tenth of all, where there are few), at least 1 % of all (or 400
    rows, where there are many), at most 30 %.
    Why it matters: A share that is measured on n rows is off by up to 1/sqrt(n): 25 points for 16 rows, 5 points for
    400. What validation holds beyond its use is lost to training.
    How to fix: Set `data.validation_split` to the number in the finding, or move rows between the files.
    Evidence: the checklist: 90/10, or 95/5 for small datasets. The margin is the 95 % confidence interval of a share.
    """
    rows = validation.rows
    total = train.rows + rows
    share = rows / total
    margin = 100 / math.sqrt(rows)
    evidence(f"{rows} of {total} rows, {share:.1%}; shares are known to ±{margin:.0f} points", rows=rows, share=share)
    few = rows < limits.min_rows and share < limits.enough_share
    thin = rows < limits.enough_rows and share < limits.min_share
    if not few and not thin and share <= limits.max_share:
        return
    small = few or thin
    files = ("data.train", "data.validation") if small else ("data.validation", "data.train")
    wanted = share_to_hold_out(total)
    better = round(total * wanted)
    split = config.data.validation_split is not None
    report_findings(
        [
            Finding(
                f"{counted(rows, 'validation row')} of {total:,} {'is' if rows == 1 else 'are'} "
                + ("too few to tell much" if small else "more than validation needs"),
                where=config.where("data.validation_split" if split else "data.validation"),
                observed=f"{rows}, {share:.1%} of all rows",
                expected=f"about {better}, {wanted:.0%}",
                why=f"What is measured on them is off by up to {margin:.0f} points: no progress shows."
                if small
                else "These rows are lost to training.",
                fix=f"Set data.validation_split: {wanted} (about {better} rows)."
                if split
                else f"Move {abs(better - rows):,} rows from {files[0]} to {files[1]}.",
            )
        ]
    )

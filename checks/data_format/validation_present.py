from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.store import Prepared
from preflight.fixtures import Evidence


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
    How to fix: Set `data.validation_split: 0.1` (0.05 below 1,000 rows), or name a held-out file.
    Evidence: the checklist's 90/10 and 95/5. Example recipes leave it out (48 of 102 published ones), real runs
    shouldn't.
    """
    rows = prepared.train.rows
    split = prepared.validation
    if split is not None and split.rows:
        evidence(f"{split.rows} rows, {split.rows / (split.rows + rows):.0%} of all", rows=split.rows)
        return
    share = 0.05 if rows < 1000 else 0.1
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

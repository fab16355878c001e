from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.store import Prepared
from preflight.findings import counted
from preflight.fixtures import Evidence


@check(
    "DATA-100",
    "data-readable",
    severity="required",
    section=1,
    item="Format consistency: all examples follow an identical template",
    waivable=False,
)
def every_data_file_and_row_can_be_read(config: Config, prepared: Prepared, evidence: Evidence) -> None:
    """Every data file exists and every row of it is an object.

    What it checks: `data.train` and `data.validation` lead to files that exist, are UTF-8 and not empty, and each row
    parses. Each broken row is named with its line and a caret; the other rows are still judged.
    Why it matters: A loader either stops at the first broken row, hours after it was queued, or drops it silently, so
    that the model learns from fewer rows than you think.
    How to fix: Correct or delete the named lines. A file cut off in the middle is usually an interrupted copy.
    Evidence: huggingface/datasets reads a file up to its first malformed row and then raises.
    """
    splits = prepared.splits.values()
    rows = sum(split.rows + split.dropped for split in splits)
    evidence(
        f"{counted(rows, 'row')} in {counted(len(prepared.sources), 'file')}", rows=rows, files=len(prepared.sources)
    )
    report_findings(
        Finding(
            problem["problem"],
            where=problem["where"],
            why="A loader stops here, or drops the row silently.",
            fix="Correct the line or delete it."
            if problem["where"].rpartition(":")[2].isdigit()
            else f"Correct the file, or its name in data.{split.name}.",
        )
        for split in splits
        for problem in split.of_kind("unreadable")
    )
    report_findings(
        Finding(
            f"the {split.name} data has no rows",
            where=config.where(f"data.{split.name}"),
            why="There is nothing to learn from." if split is prepared.train else "There is nothing to judge by.",
            fix=f"Name files with at least one row in data.{split.name}.",
        )
        for split in splits
        if split.rows + split.dropped == 0 and (split is prepared.train or config.data.validation)
    )

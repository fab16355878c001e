import re
from collections.abc import Iterator

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.problems import Problem, examples, grouped
from preflight.data.store import Prepared, Split
from preflight.findings import counted
from preflight.fixtures import Evidence

APART = 3  # broken rows of one kind that are worth a finding each
PLACE = re.compile(r"(:| row )\d+$")


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
    parses. They may be JSONL, JSON, CSV, Parquet or Arrow files (text also packed by gzip or zstd), folders of them,
    datasets that `datasets` saved, or ids of the hub. Each broken row is named with its line and a caret; the other
    rows are still judged.
    Why it matters: A loader either stops at the first broken row, hours after it was queued, or drops it silently, so
    that the model learns from fewer rows than you think. Text in another encoding is learned as gibberish.
    How to fix: Correct or delete the named lines. A file cut off in the middle is usually an interrupted copy. Convert
    other encodings with `iconv`; the finding has the command.
    Evidence: pydantic/pydantic-ai#8316 (byte order mark). huggingface/datasets reads a file up to its first malformed
    row and then raises.
    """
    splits = prepared.splits.values()
    rows = sum(split.rows + split.dropped for split in splits)
    evidence(
        f"{counted(rows, 'row')} in {counted(len(prepared.sources), 'file')}", rows=rows, files=len(prepared.sources)
    )
    report_findings(finding for split in splits for finding in _unreadable(split))
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


def _unreadable(split: Split) -> Iterator[Finding]:
    listed = split.of_kind("unreadable")
    for problems in grouped(listed, _fault):
        few = len(problems) <= APART
        for problem in problems if few else problems[:1]:
            row = PLACE.search(problem["where"])
            usual = "Correct the line or delete it." if row else f"Correct the file, or its name in data.{split.name}."
            yield Finding(
                problem["problem"],
                where=problem["where"],
                observed=None if few else examples(problems, listed),
                why="A loader stops here, or drops the row silently.",
                fix=problem["fix"] or usual,
            )


def _fault(problem: Problem) -> tuple[str, str]:
    """The file, and the problem without what differs from row to row."""
    return PLACE.sub("", problem["where"]), re.sub(r"0x\w\w|\d+", "…", problem["problem"])[:40]

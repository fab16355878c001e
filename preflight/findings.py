"""What a check can say: findings, not applicable, not available."""

import traceback
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NoReturn

Severity = Literal["required", "recommended", "advice"]
Outcome = Literal["passed", "failed", "warned", "waived", "not-applicable", "not-available", "not-run", "error"]

MAX_FINDINGS = 20  # a check that finds one fault in every row says so once, with examples


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        message: What is wrong, in one plain sentence.
        where: The place, as `file:line`, an example index or a config key.
        observed: The value found.
        expected: The value or range that was expected.
        why: Why it ruins or endangers the run.
        fix: What to do, as an imperative, with the number to use.
    """

    message: str
    where: str | None = None
    observed: str | None = None
    expected: str | None = None
    why: str | None = None
    fix: str | None = None

    def as_dict(self) -> dict[str, str]:
        """Only the fields that were given: the shape of a finding in `report.json`."""
        return {key: str(value) for key, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class Found(AssertionError):
    """Raised by `report_findings`: the check has findings. Any other exception is a broken check, not a finding."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(map(str, self.findings)))


def failed_assert(error: BaseException, file: Path) -> Finding:
    """The finding of a plain `assert` in a check's file: its message or the line that does not hold, and its place."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = next((frame for frame in reversed(frames) if Path(frame.filename) == file), frames[-1])
    return Finding(str(error) or f"`{frame.line}` does not hold", where=f"{Path(frame.filename).name}:{frame.lineno}")


class NotApplicable(Exception):
    """The subject of the check is absent from the config."""


class NotAvailable(Exception):
    """The check can't be judged here; blocks if it is required."""


def report_findings(findings: Iterable[Finding]) -> None:
    """End the check with these findings; with none it returns and the check goes on.

    Raises:
        Found: if there is at least one finding.
    """
    found = tuple(findings)
    if len(found) > MAX_FINDINGS:
        rest = len(found) - MAX_FINDINGS
        found = (*found[:MAX_FINDINGS], Finding(f"… and {rest} more like these"))
    if found:
        raise Found(found)


def counted(number: int, noun: str) -> str:
    """`1 row`, `2 rows`, `1,000 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def places(found: Sequence[str], limit: int = 3) -> str:
    """The first of several in words: `train.jsonl:1, train.jsonl:5 and 20 more`."""
    first = ", ".join(found[:limit])
    return first if len(found) <= limit else f"{first} and {len(found) - limit:,} more"


def not_applicable(reason: str) -> NoReturn:
    """End the check: the config has nothing for it to judge."""
    raise NotApplicable(reason)


def not_available(reason: str) -> NoReturn:
    """End the check: it can't be judged here; say what is missing and how to get it."""
    raise NotAvailable(reason)

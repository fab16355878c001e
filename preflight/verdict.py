"""The verdict: pure functions from what was expected and what ran to green, red or partial."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from preflight.findings import Finding, Outcome, Severity, counted

Verdict = Literal["green", "red", "partial"]
ALWAYS_BLOCKS: frozenset[Outcome] = frozenset({"failed", "error"})
# Of two results for one check the later one of these counts: a teardown that crashes outranks a pass.
RANK: tuple[Outcome, ...] = (
    "passed",
    "not-applicable",
    "warned",
    "waived",
    "not-available",
    "not-run",
    "failed",
    "error",
)
ENDED = {
    1: "other tests of this run failed",
    2: "the run was interrupted, or a file could not be collected",
    3: "pytest had an internal error",
    4: "pytest could not find what it was told to run",
}


@dataclass(frozen=True)
class Result:
    """What one check came to.

    Attributes:
        code: The check.
        severity: Severity in force, after `gate.severity` and `--preflight-strict`.
        outcome: One of the eight outcomes.
        reason: Why, for not-applicable, not-available, not-run, waived and error.
        summary: The evidence in a few words.
        evidence: JSON-able numbers behind it.
        findings: What is wrong.
        seconds: Wall time of the check.
    """

    code: str
    severity: Severity
    outcome: Outcome
    reason: str = ""
    summary: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Mapping[str, str], ...] = ()
    seconds: float = 0.0

    @property
    def blocks(self) -> bool:
        """Whether this alone keeps the verdict from green. A check that crashed blocks whatever its severity."""
        if self.outcome == "not-available":
            return self.severity == "required"
        return self.outcome in ALWAYS_BLOCKS


def outcome_of_findings(severity: Severity, waived: bool) -> Outcome:
    """The outcome of a check that has findings."""
    if waived:
        return "waived"
    return "failed" if severity == "required" else "warned"


def in_force(code: str, default: Severity, overrides: Mapping[str, Severity], *, strict: bool) -> Severity:
    """The severity that applies: the config's word over the check's, and `--preflight-strict` over recommended."""
    severity = overrides.get(code, default)
    return "required" if strict and severity == "recommended" else severity


def complete(expected: Mapping[str, Severity], ran: Iterable[Result]) -> dict[str, Result]:
    """One result for each expected check, in order; what has none was not run."""
    by_code: dict[str, Result] = {}
    for result in ran:
        known = by_code.get(result.code)
        if known is None or RANK.index(result.outcome) > RANK.index(known.outcome):
            by_code[result.code] = result
    missing = "deselected, or the run was cut off before it"
    return {
        code: by_code.get(code) or Result(code, severity, "not-run", reason=missing)
        for code, severity in expected.items()
    }


def decide(results: Mapping[str, Result], *, exit_status: int) -> tuple[Verdict, str]:
    """Green, red or partial, and why in one line. Fails closed: anything unexpected is not green.

    Args:
        results: One result for each expected check.
        exit_status: What pytest itself would exit with.
    """
    blocking = [code for code, result in results.items() if result.blocks]
    skipped = [code for code, result in results.items() if result.outcome == "not-run"]
    if blocking:
        verb = "block" if len(blocking) > 1 else "blocks"
        return "red", f"{counted(len(blocking), 'check')} {verb}: {_some(blocking)}"
    if exit_status not in (0, 5):
        return "red", ENDED.get(exit_status, f"pytest ended with exit status {exit_status}")
    if not results:
        return "red", "no checks were found"
    if skipped:
        return "partial", f"{len(results) - len(skipped)} of {len(results)} checks ran"
    return "green", f"{len(results)} checks, none blocks"


def add_unused_waivers(results: dict[str, Result], waived: Mapping[str, str], meta_code: str) -> None:
    """Turn waivers that waived nothing into findings of the waiver check (`meta_code`), in place.

    Args:
        results: One result for each expected check; every check must have run, or a waiver can't be called unused.
        waived: Place of each waiver in the config, by the code it names.
        meta_code: The check about waivers.
    """
    unused = [code for code in waived if code in results and results[code].outcome == "passed"]
    if not unused or meta_code not in results or results[meta_code].outcome not in ("passed", "warned", "failed"):
        return
    found = tuple(
        Finding(
            f"the waiver for {code} waives nothing: the check passes",
            where=waived[code],
            fix=f"Delete the waiver for {code} from gate.waivers.",
        ).as_dict()
        for code in unused
    )
    known = results[meta_code]
    outcome = outcome_of_findings(known.severity, waived=False) if known.outcome == "passed" else known.outcome
    results[meta_code] = replace(known, outcome=outcome, findings=(*known.findings, *found))


def counts(results: Iterable[Result]) -> dict[str, int]:
    """How many checks have each outcome, every outcome named."""
    tally = Counter(result.outcome for result in results)
    return {outcome: tally[outcome] for outcome in get_args(Outcome)}


def _some(codes: list[str], limit: int = 6) -> str:
    return ", ".join(codes[:limit]) + (f" and {len(codes) - limit} more" if len(codes) > limit else "")

"""From what a check raised to its outcome: for pytest, and for the trainer, which asks monitors without it."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from preflight import verdict
from preflight.config.sections import Waiver
from preflight.findings import Finding, Found, NotApplicable, NotAvailable, Outcome, Severity, failed_assert
from preflight.registry import Check
from preflight.verdict import Result


def findings_of(check: Check, error: BaseException | None) -> tuple[Finding, ...]:
    """What a check found. A user's may say it by a plain assert; elsewhere a failed assert is a crash."""
    if isinstance(error, Found):
        return error.findings
    if error and check.code.startswith("USER-") and isinstance(error, AssertionError | pytest.fail.Exception):
        return (failed_assert(error, check.path),)
    return ()


def outcome_of(
    error: BaseException | None, findings: tuple[Finding, ...], severity: Severity, waiver: Waiver | None
) -> tuple[Outcome, str]:
    """The outcome of a check and the reason for it.

    Args:
        error: What it raised; None if it returned.
        findings: What it found.
        severity: The severity in force.
        waiver: The waiver of this check, if there is one.
    """
    match error:
        case None:
            return "passed", ""
        case _ if findings:
            outcome = verdict.outcome_of_findings(severity, waived=waiver is not None)
            return outcome, f"waived by {waiver.by} until {waiver.expires}: {waiver.reason}" if waiver else ""
        case NotApplicable():
            return "not-applicable", str(error) or "no reason given"
        case NotAvailable():
            return "not-available", str(error) or "no reason given"
        case pytest.skip.Exception():
            return "error", f"the check skipped itself ({error}); it must say not_applicable() or not_available()"
    return "error", f"the check is broken: {type(error).__name__}: {error}"


def ask(check: Check, severity: Severity, waiver: Waiver | None, limits: SimpleNamespace, **fixtures: Any) -> Result:
    """Ask a check without pytest.

    Args:
        check: The check.
        severity: The severity in force.
        waiver: The waiver of this check, if there is one.
        limits: Its thresholds.
        **fixtures: What it may ask for, besides `limits` and `evidence`.
    """
    seen: tuple[str, Mapping[str, Any]] = ("", {})

    def evidence(summary: str, **values: Any) -> None:
        nonlocal seen
        seen = summary, values

    given = {**fixtures, "limits": limits, "evidence": evidence}
    error: BaseException | None = None
    try:
        check.function(**{name: given[name] for name in check.asks})
    except (Exception, pytest.skip.Exception, pytest.fail.Exception) as raised:
        error = raised
    findings = findings_of(check, error)
    outcome, reason = outcome_of(error, findings, severity, waiver)
    return Result(check.code, severity, outcome, reason, *seen, tuple(finding.as_dict() for finding in findings))

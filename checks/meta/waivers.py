from preflight import Finding, check, report_findings
from preflight.fixtures import Evidence
from preflight.waivers import Waivers


@check(
    "META-001",
    "waivers-in-order",
    severity="recommended",
    section=0,
    item="Waivers name a known check, a reason, a person and a date to come",
)
def every_waiver_is_known_current_and_allowed(waivers: Waivers, evidence: Evidence) -> None:
    """Every waiver names a known check that may be waived, is not expired, and waives something.

    What it checks: `gate.waivers`. A waiver that is unknown, expired or forbidden waives nothing: its check is judged
    as if it weren't there. One that waives nothing because its check passes is reported too.
    Why it matters: Stale waivers pile up and hide the day the problem comes back.
    How to fix: Delete the waiver, or renew its date with a reason that still holds.
    Evidence: ruff's RUF100 (unused noqa) and cfn-lint's mandatory rules.
    """
    count = len(waivers.by_code)
    evidence(f"{count} in force" if count else "none", waivers=sorted(waivers.by_code), refused=len(waivers.refused))
    report_findings(
        Finding(
            problem,
            where=place,
            why="The check is judged as if the waiver weren't there.",
            fix=f"Delete the waiver for {code} or correct it.",
        )
        for place, code, problem in waivers.refused
    )

from typing import Any

from preflight import check, report_findings
from preflight.data.hygiene import Hygiene
from preflight.fixtures import Evidence


@check(
    "DATA-133",
    "no-personal-data",
    severity="recommended",
    section=1,
    item="Quality review: manually reviewed 50-100 random samples",
    thresholds={"max_fraction": 0.005},
)
def hardly_any_row_holds_personal_data(hygiene: Hygiene, evidence: Evidence, limits: Any) -> None:
    """Hardly any row holds personal data.

    What it checks: E-mail addresses; telephone numbers that are valid (phonenumbers: international ones, and those of
    North America); card numbers and IBANs whose checksum is right (python-stdnum). Left out are code, addresses of
    offices and of example.com and the like, 555 and other numbers kept for films, and the cards and IBANs that manuals
    use. What is found is shown masked.
    Why it matters: A fine-tuned model repeats what it has seen, to whoever asks. You may not be allowed to let it.
    How to fix: Replace them with invented ones of example.com and 555-0100, or drop the rows. If they are invented or
    public, raise the threshold or waive the finding.
    Evidence: data-juicer has a mapper that removes addresses (clean_email_mapper). Threshold: 0.5 % of the rows, and
    one row is always allowed: some are invented and don't show it.
    """
    summary, seen = hygiene.evidence("personal", "with personal data")
    evidence(summary, **seen)
    if hygiene.exceeds(limits.max_fraction, "personal"):
        kinds = ", ".join(f"{what} {count:,}" for what, count in hygiene.varieties["personal"].items())
        report_findings(
            [
                hygiene.finding(
                    "personal",
                    message=f"hold personal data: {kinds}",
                    expected=f"at most {limits.max_fraction:.1%}",
                    why="The model repeats it to whoever asks.",
                    fix="Replace it in {rows} with invented data, or drop them.",
                )
            ]
        )

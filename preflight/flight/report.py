"""The report of a flight: what the monitors say, with the curves of the run."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from preflight import verdict
from preflight.config import Config
from preflight.registry import Check
from preflight.report import document, html
from preflight.verdict import Result


def write(config: Config, checks: Mapping[str, Check], results: Mapping[str, Result], *, started: datetime) -> Path:
    """Write `report.json` and `report.html` of a run that goes on, or has ended.

    Args:
        config: The run's config.
        checks: The monitors, by code.
        results: What each says.
        started: When the run, or its last part, began.

    Returns:
        Where the HTML report lies.
    """
    folder = config.artefacts("flight")
    folder.mkdir(parents=True, exist_ok=True)
    decision, why = verdict.decide(results, exit_status=0)
    found = document.build(
        config,
        stage="flight",
        verdict=decision,
        why=why,
        sealed=False,
        checks=checks,
        results=results,
        started=started,
        seconds=(datetime.now(UTC) - started).total_seconds(),
    )
    document.write(found, folder / "report.json")
    html.write_html(found, folder / "report.html")
    return folder / "report.html"

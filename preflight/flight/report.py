"""The report of a flight: what the monitors say, with the curves of the run."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from preflight import verdict
from preflight.config import Config
from preflight.flight.asking import ask_all, monitors_of
from preflight.flight.log import Log
from preflight.flight.plan import plan_for
from preflight.registry import Check
from preflight.report import curves, document, html
from preflight.verdict import Result


def judge(config: Config, log: Log) -> None:
    """Ask the monitors about a run log as it is now, and write their report: for a run that left none, or an old one.

    Raises:
        RegistryError: the user's own checks can't be loaded.
    """
    checks = monitors_of(config)
    now = datetime.now(UTC)
    started = curves.first_time(log, before=now) or now
    write(config, checks, ask_all(config, checks, log, plan_for(config, log)), started=started)


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

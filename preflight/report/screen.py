"""`preflight report`: a run on one screen."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from preflight import flight
from preflight.config import Config, ConfigError, load_config

WIDTH = 72


def show(path: Path) -> int:
    """Print verdicts, loss curve, what was gained, and where the reports are; 0 if everything there is green."""
    try:
        config = load_config(path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 4
    reports = {stage: _report(config, stage) for stage in ("preflight", "postflight")}
    print(f"{config.name}\n")
    if (log := config.output_dir / "run.jsonl").is_file():
        print(loss_curve(flight.read_log(log)))
    for stage, report in reports.items():
        if report is None:
            print(f"{stage:10}  not run yet: pytest --{stage} {os.path.relpath(path)}")
            continue
        print(f"{stage:10}  {report['verdict'].upper()}  {report['why']}")
        for line in _gains(report):
            print(f"{'':10}  {line}")
        print(f"{'':10}  {os.path.relpath(config.artefacts(stage) / 'report.html')}")
    if (config.output_dir / "run-card.md").is_file():
        print(f"{'model':10}  {os.path.relpath(config.output_dir)} (how it was made: run-card.md)")
    return 0 if all(report is None or report["verdict"] == "green" for report in reports.values()) else 1


def loss_curve(log: flight.Log) -> str:
    """The training and validation loss as a chart of characters."""
    import plotext as plt

    plt.clear_figure()
    plt.theme("clear")
    plt.plot_size(WIDTH, 14)
    losses, held_out = flight.curve(log, "loss"), flight.curve(log, "eval_loss")
    if not losses:
        return "no losses logged\n"
    plt.plot([step for step, _ in losses], [loss for _, loss in losses], label="training loss")
    if held_out:
        plt.scatter([step for step, _ in held_out], [loss for _, loss in held_out], label="validation loss", marker="o")
    plt.xlabel("step")
    return str(plt.uncolorize(plt.build())) + "\n"


def _report(config: Config, stage: str) -> dict[str, Any] | None:
    path = config.artefacts(stage) / "report.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _gains(report: dict[str, Any]) -> list[str]:
    """The lines of a postflight report that say what the run was good for."""
    wanted = {"POST-105": "held-out", "POST-104": "stops", "POST-107": "format"}
    return [
        f"{wanted[check['code']]}: {check['summary']}"
        for check in report["checks"]
        if check["code"] in wanted and check["summary"]
    ]

"""`preflight report`: a run on one screen of 80 columns."""

import contextlib
import json
import math
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

from preflight import flight
from preflight.config import Config, ConfigError, load_config
from preflight.findings import NotApplicable, NotAvailable, counted
from preflight.flight.foreign import foreign, log_of
from preflight.registry import RegistryError
from preflight.report import curves, pictures
from preflight.report.terminal import safe

WIDTH = 76
LABEL = 12
MAX_BLOCKING = 5
# What a postflight report says about the worth of the run, by the check that measured it.
GAINS = {"POST-105": "held-out", "POST-104": "stops", "POST-107": "format", "POST-117": "accepted"}
MAX_SCORES = 6


def show(path: Path) -> int:
    """Print verdicts, loss curve, what was gained, what blocks, and what to do next.

    Returns:
        0 if nothing is red, 1 if something is, 4 if the config can't be read.
    """
    try:
        config = load_config(path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 4
    print(safe(config.name))
    stages = ["postflight"] if foreign(config) else ["preflight", "postflight"]
    found = logged(config)
    if found is not None:
        from preflight.flight import report

        with contextlib.suppress(OSError, RegistryError):  # a folder that can't be written to can still be looked at
            report.judge(config, found)
        stages.insert(-1, "flight")
        print(f"\n{loss_curve(found)}", end="")
        for label, text in curves.in_words(curves.measured(found)).items():
            print_line(label, text)
    reports = {stage: read_report(config, stage) for stage in stages}
    for stage, judged in reports.items():
        print()
        for label, text in stage_lines(config, stage, judged):
            print_line(label, text)
    if (config.output_dir / "run-card.md").is_file():
        print()
        print_line("model", f"{os.path.relpath(config.output_dir)}, made as run-card.md in it says")
    print()
    print_line("next", next_step(config, reports))
    return 1 if any(report and report["verdict"] == "red" for report in reports.values()) else 0


def logged(config: Config) -> flight.Log | None:
    """The log of the run; None if it has none, or none that can be read."""
    try:
        return log_of(config)
    except (NotApplicable, NotAvailable):
        return None


def stage_lines(config: Config, stage: str, report: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What one stage came to, as (label, text)."""
    if report is None:
        return [(stage, "not run yet")]
    lines = [(stage, f"{report['verdict'].upper()}  {report['why']}")]
    if outdated(config, stage, report):
        lines.append(("", "the config has changed since: this verdict is about the old one"))
    lines += [
        ("", f"{GAINS[check['code']]}: {check['summary']}")
        for check in report["checks"]
        if check["code"] in GAINS and check["summary"]
    ]
    lines += [("", line) for line in score_lines(report)]
    blocking = [check for check in report["checks"] if check["outcome"] in ("failed", "error", "not-available")]
    blocking = [check for check in blocking if check["outcome"] != "not-available" or check["severity"] == "required"]
    for check in blocking[:MAX_BLOCKING]:
        first = check["findings"][0] if check["findings"] else {"message": check["reason"]}
        place = f"{first['where']}: " if "where" in first else ""
        lines.append((f"  {check['code']}", f"{place}{first['message']}"))
        lines += [("", f"fix: {first['fix']}")] if "fix" in first else []
    if (more := len(blocking) - MAX_BLOCKING) > 0:
        lines.append(("", f"and {counted(more, 'check')} more in the report"))
    return [*lines, ("", os.path.relpath(config.artefacts(stage) / "report.html"))]


def score_lines(report: dict[str, Any]) -> list[str]:
    """Each metric of base and tuned model, in a few lines."""
    found = [pictures.scored(metric) for metric in report.get("pictures", {}).get("scores", ())]
    lines = [row["line"] for row in found if row]
    if (more := len(lines) - MAX_SCORES + 1) > 1:
        lines[MAX_SCORES - 1 :] = [f"and {counted(more, 'score')} more in the report"]
    return lines


def outdated(config: Config, stage: str, report: dict[str, Any]) -> bool:
    """Whether the config says something else than when it was judged."""
    then = report["config"]["resolved"]
    return any(then.get(name) != value for name, value in config.judged(stage).items())


def next_step(config: Config, reports: dict[str, dict[str, Any] | None]) -> str:
    """The command to run now, or what to do."""
    name = os.path.relpath(config.path)
    for stage, report in reports.items():
        if stage == "flight":
            if report and report["verdict"] == "red":
                return f"change what the monitors name, then pytest --preflight {name}"
            continue
        if stage == "postflight" and not (config.output_dir / "run-card.json").is_file() and not foreign(config):
            goes_on = any(config.output_dir.glob("checkpoint-*"))
            return f"preflight train {name}" + (" (goes on from its last checkpoint)" if goes_on else "")
        if report is None or report["verdict"] == "partial" or outdated(config, stage, report):
            return f"pytest --{stage} {name}"
        if report["verdict"] == "red":
            return f"fix what blocks, then pytest --{stage} {name}"
    return "nothing is red: the model may be deployed"


def print_line(label: str, text: str) -> None:
    """One entry: a label, and text that is wrapped beside it. A path stays whole, for it to be copied."""
    lines = textwrap.wrap(safe(text), WIDTH - LABEL, break_long_words=False, break_on_hyphens=False) or [""]
    for number, line in enumerate(lines):
        print(f"{'' if number else label:{LABEL}}{line}".rstrip())


def loss_curve(log: flight.Log) -> str:
    """The training and validation loss as a chart of characters."""
    import plotext as plt

    losses, held_out = (
        [point for point in log.curve(key).points() if math.isfinite(point[1])] for key in ("loss", "eval_loss")
    )
    if not losses:
        return "no losses logged yet\n"
    plt.clear_figure()
    plt.theme("clear")
    plt.plot_size(WIDTH, 14)
    plt.plot([step for step, _ in losses], [loss for _, loss in losses], label="training loss")
    if held_out:
        plt.scatter([step for step, _ in held_out], [loss for _, loss in held_out], label="validation loss", marker="o")
    plt.xlabel("step")
    lines = plt.uncolorize(plt.build()).splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines).rstrip("\n") + "\n"


def read_report(config: Config, stage: str) -> dict[str, Any] | None:
    """The report of a stage; None if there is none, or it was cut off while it was written."""
    try:
        return dict(json.loads((config.artefacts(stage) / "report.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None

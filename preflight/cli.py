"""The `preflight` command: what pytest doesn't do. Each subcommand imports what it needs when it runs."""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from preflight import __version__


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    parser = argparse.ArgumentParser(prog="preflight", description="The gate before an LLM fine-tune.")
    parser.add_argument("--version", action="version", version=f"preflight {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    init = commands.add_parser("init", help="write a config for a model and a data file")
    init.add_argument("--model", required=True, help="a folder, or an id on the hub")
    init.add_argument("--data", required=True, help="the training data")
    init.add_argument("--validation", help="held-out data; without it a part of the training data is held out")
    init.add_argument("--output", type=Path, default=Path("config.yaml"), help="the config to write (config.yaml)")

    train = commands.add_parser("train", help="train what `pytest --preflight` cleared")
    train.add_argument("config", type=Path)

    report = commands.add_parser("report", help="verdicts, loss curve and reports of a run, on one screen")
    report.add_argument("config", type=Path)

    commands.add_parser("list", help="the checklist, one line a check")
    explain = commands.add_parser("explain", help="what a check looks at, why, and how to fix what it finds")
    explain.add_argument("code", help="for example DATA-104")

    arguments = parser.parse_args(argv)
    match arguments.command:
        case "train":
            return start_trainer(arguments.config)
        case "report":
            from preflight.report.screen import show

            return show(arguments.config)
        case "init":
            from preflight.init import write_config

            return write_config(arguments.model, arguments.data, arguments.validation, arguments.output)
        case "list":
            return list_checks()
    return explain_check(arguments.code)


def start_trainer(config: Path) -> int:
    """Run the trainer in a process of its own and return its exit code.

    `PYTHONSAFEPATH` keeps a folder named `trainer` or `checks` in the working directory from being imported instead.
    """
    command = [sys.executable, "-m", "preflight.trainer", str(config)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONSAFEPATH": "1"})
    # Ctrl-C reaches both processes; the trainer decides when to stop. A scheduler's SIGTERM reaches only this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: process.send_signal(number))
    code = process.wait()
    return code if code >= 0 else 1


def list_checks() -> int:
    """Print the checklist."""
    from preflight.registry import SECTIONS, shipped

    section = None
    for meta in shipped().values():
        if meta.section != section:
            section = meta.section
            print(f"{section} {SECTIONS[section]}")
        print(f"  {meta.code:9} {meta.name:24} {meta.severity:12} {meta.claim}")
    return 0


def explain_check(code: str) -> int:
    """Print the docs page of one check."""
    import difflib

    from preflight.registry import SECTIONS, shipped

    checks = shipped()
    names = {meta.name: meta.code for meta in checks.values()}
    meta = checks.get(code.upper()) or checks.get(names.get(code.lower(), ""))
    if meta is None:
        near = difflib.get_close_matches(code.upper(), checks, n=3, cutoff=0.4)
        print(
            f"there is no check {code}. Nearest: {', '.join(near) or 'none'}. `preflight list` shows all.",
            file=sys.stderr,
        )
        return 2
    print(f"{meta.code} {meta.name}: {meta.summary}")
    print(f"{meta.severity}, section {meta.section} {SECTIONS[meta.section]}: {meta.item}")
    for heading, text in meta.docs.items():
        print(f"\n{heading}\n  {'  '.join(text.splitlines(keepends=True))}")
    if meta.thresholds:
        print("\nThresholds (gate.thresholds in the config)")
        for name, value in meta.thresholds.items():
            print(f"  {name}: {value}")
    if not meta.waivable:
        print("\nIt can't be waived.")
    return 0

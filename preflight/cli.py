"""The `preflight` command: what pytest doesn't do. Each subcommand imports what it needs when it runs."""

import argparse
import difflib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import FrameType

from preflight import __version__

COMMANDS = ("init", "review", "train", "report", "accept", "list", "explain", "doctor")
EPILOG = """\
The gate itself is pytest:
  pytest --preflight CONFIG     judge a run before it starts
  pytest --postflight CONFIG    judge the model that came out

Exit codes: 0 done; 1 failed, or something is red; 2 wrong usage; 3 no valid
clearance; 4 the config can't be read; 5 stopped by a monitor."""


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # charts and dashes must not crash a terminal that can't show them
            stream.reconfigure(errors="replace")
    parser = make_parser()
    if not argv:
        parser.print_help(sys.stderr)
        return 2
    if not argv[0].startswith("-") and argv[0] not in COMMANDS:
        near = difflib.get_close_matches(argv[0], COMMANDS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        print(f"preflight: there is no command {argv[0]}.{hint} Commands: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        code = dispatch(parser.parse_args(argv))
        sys.stdout.flush()  # here, where it can be caught, and not when the interpreter ends
        return code
    except BrokenPipeError:  # `preflight list | head`: nobody reads on, and nothing is wrong
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def make_parser() -> argparse.ArgumentParser:
    """The command line: one subcommand a task."""
    parser = argparse.ArgumentParser(
        prog="preflight",
        description="The gate before an LLM fine-tune.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"preflight {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    init = commands.add_parser("init", help="write a config for a model and a data file")
    init.add_argument("--model", required=True, metavar="FOLDER", help="the model's folder, or an id on the hub")
    init.add_argument(
        "--data", required=True, metavar="FILE", help="the training data: .jsonl, .json, .csv or .parquet"
    )
    init.add_argument("--validation", metavar="FILE", help="held-out data; without it a part of the data is held out")
    init.add_argument("--gpu", metavar="NAME", help="the card that will train, if it isn't in this machine: 'RTX 4080'")
    init.add_argument("--memory-gib", type=float, metavar="N", help="its memory in GiB")
    init.add_argument("--gpus", type=_count, default=1, metavar="N", help="how many of them (1)")
    init.add_argument(
        "--output", type=Path, default=Path("config.yaml"), metavar="CONFIG", help="the file to write (config.yaml)"
    )

    review = commands.add_parser("review", help="look at a random sample of the training data, in the browser")
    review.add_argument("config", type=Path, metavar="CONFIG")
    review.add_argument("--samples", type=_count, default=50, metavar="N", help="rows to draw (50)")
    review.add_argument("--seed", type=int, metavar="N", help="what to draw them by (0)")
    review.add_argument("--reviewer", metavar="NAME", help="who is reviewing (git's user.name, or the login name)")
    review.add_argument("--port", type=_port, default=0, metavar="N", help="port on 127.0.0.1 (any free one)")
    review.add_argument("--no-browser", action="store_true", help="only print the address")

    train = commands.add_parser("train", help="train what `pytest --preflight` cleared")
    train.add_argument("config", type=Path, metavar="CONFIG")
    train.add_argument(
        "settings", nargs="*", metavar="KEY=VALUE", help="what a clearance leaves free: training.logging_steps=5"
    )

    report = commands.add_parser("report", help="verdicts, loss curve and reports of a run, on one screen")
    report.add_argument("config", type=Path, metavar="CONFIG")

    accept = commands.add_parser(
        "accept", help="keep what a green postflight measured, for later runs to be compared with"
    )
    accept.add_argument("config", type=Path, metavar="CONFIG")
    accept.add_argument("--by", metavar="NAME", help="who accepts it (git's user.name, or the login name)")
    accept.add_argument("--note", default="", metavar="TEXT", help="what to say of it")

    commands.add_parser("list", help="the checklist, one line a check")
    explain = commands.add_parser("explain", help="what a check looks at, why, and how to fix what it finds")
    explain.add_argument("check", metavar="CHECK", help="its code or its name: DATA-104, no-duplicates")

    doctor = commands.add_parser("doctor", help="this machine as the checks see it, for bug reports; nothing secret")
    doctor.add_argument(
        "config", type=Path, nargs="?", metavar="CONFIG", help="say what of a run is judged by what, too"
    )
    doctor.add_argument("--json", action="store_true", help="as JSON")
    return parser


def dispatch(arguments: argparse.Namespace) -> int:
    """Run the subcommand that was asked for."""
    match arguments.command:
        case "train":
            code = start_trainer(arguments.config, arguments.settings)
        case "review":
            from preflight.review.command import review

            code = review(
                arguments.config,
                samples=arguments.samples,
                seed=arguments.seed,
                port=arguments.port,
                reviewer=arguments.reviewer,
                browser=not arguments.no_browser,
            )
        case "report":
            from preflight.report.screen import show

            code = show(arguments.config)
        case "accept":
            from preflight.accept import accept

            code = accept(arguments.config, by=arguments.by, note=arguments.note)
        case "init":
            from preflight.init import write_config

            machine = arguments.gpu, arguments.memory_gib, arguments.gpus
            code = write_config(arguments.model, arguments.data, arguments.validation, arguments.output, machine)
        case "doctor":
            from preflight.doctor import show as show_machine

            code = show_machine(arguments.config, as_json=arguments.json)
        case "list":
            code = list_checks()
        case _:
            code = explain_check(arguments.check)
    return code


def _count(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _port(text: str) -> int:
    if not 0 <= (number := int(text)) < 65536:
        raise argparse.ArgumentTypeError("a port is below 65536")
    return number


def start_trainer(path: Path, settings: list[str]) -> int:
    """Run the trainer in a process of its own and return its exit code.

    `PYTHONSAFEPATH` keeps a folder named `trainer` or `checks` in the working directory from being imported instead.
    """
    from preflight.config import ConfigError, load_config

    try:
        load_config(path)  # the trainer does it again, after seconds of imports
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 4
    process: subprocess.Popen[bytes] | None = None

    def forward(number: int, frame: FrameType | None) -> None:
        # Ctrl-C and a closed terminal reach both processes; what a scheduler sends reaches only this one.
        if process is not None and number != signal.SIGINT:
            process.send_signal(number)

    # Before the trainer starts, so that no signal finds this process without a handler. A handler, unlike SIG_IGN, is
    # not inherited.
    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        command = [sys.executable, "-m", "preflight.trainer", str(path), *settings]
        process = subprocess.Popen(command, env={**os.environ, "PYTHONSAFEPATH": "1"})
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 1


def list_checks() -> int:
    """Print the checklist: one line a check, cut to the terminal's width, whole in a pipe."""
    from preflight.registry import SECTIONS, shipped

    width = _width() if sys.stdout.isatty() else sys.maxsize
    section = None
    for meta in shipped().values():
        if meta.section != section:
            section = meta.section
            print(f"{section} {SECTIONS[section]}")
        line = f"  {meta.code:9} {meta.name:24} {meta.severity:12} {meta.claim}"
        print(line if len(line) <= width else line[: width - 1] + "…")
    return 0


def explain_check(word: str) -> int:
    """Print the docs page of one check, named by its code or its name."""
    from preflight.registry import SECTIONS, shipped

    checks = shipped()
    names = {meta.name: meta.code for meta in checks.values()}
    meta = checks.get(word.upper()) or checks.get(names.get(word.lower(), ""))
    if meta is None:
        words = [*checks, *names]
        near = [name for name in words if name.lower().startswith(word.lower())]
        near += difflib.get_close_matches(word.upper(), checks, n=3, cutoff=0.5)
        near += difflib.get_close_matches(word.lower(), names, n=3, cutoff=0.5)
        hint = f"; nearest: {', '.join(list(dict.fromkeys(near))[:4])}" if near else ""
        print(f"preflight: there is no check {word}{hint}. `preflight list` shows all of them.", file=sys.stderr)
        return 2
    blocks = {"required": "blocks", "recommended": "warns; blocks under --preflight-strict", "advice": "never blocks"}
    print(_wrap(f"{meta.code} {meta.name}: {meta.summary}"))
    again = " and, where it trains, once more" if meta.machine else ""
    print(_wrap(f"{meta.severity} ({blocks[meta.severity]}); {meta.stage}{again}; section {meta.section}, "
                f"{SECTIONS[meta.section]}: {meta.item}"))  # fmt: skip
    for heading, text in meta.docs.items():
        print(f"\n{heading}\n{_wrap(text, '  ')}")
    if meta.thresholds:
        example = ", ".join(f"{name}: {value}" for name, value in meta.thresholds.items())
        print(f"\nThresholds\n{_wrap(f'gate: {{thresholds: {{{meta.code}: {{{example}}}}}}}', '  ')}")
    waiver = f"gate: {{waivers: [{{code: {meta.code}, reason: ..., by: ..., expires: YYYY-MM-DD}}]}}"
    refusal = "It can't be waived, nor its severity lowered."
    print(f"\nWaiver\n{_wrap(waiver if meta.waivable else refusal, '  ')}")
    return 0


def _wrap(text: str, indent: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()),
        _width(),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _width() -> int:
    return min(shutil.get_terminal_size().columns, 100)

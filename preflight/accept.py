"""`preflight accept`: keep what a green run came to, for later runs to be compared with it."""

import json
import os
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from preflight import accepted, clearance, digests, machine
from preflight.accepted import Accepted, AcceptedError
from preflight.config import Config, ConfigError, load_config
from preflight.findings import NotAvailable, counted
from preflight.report.terminal import safe
from preflight.signer import name_of_user

WIDTH = 80
MAX_LINES = 20  # of numbers; with the lines around them they fit on a screen


def accept(path: Path, *, by: str | None, note: str) -> int:
    """Write the accepted run of a config, and print what it changes.

    Returns:
        0 if it is written; 1 if it can't be, 3 without a green postflight that covers the run, 4 if the config can't be
        read.
    """
    try:
        config = load_config(path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 4
    target = accepted.accepted_path(config)
    try:
        statement = clearance.verify(config, "postflight")
        run = gather(config, statement, by=by, note=note)
    except clearance.Refused as error:
        print(f"not accepted: {safe(str(error))}", file=sys.stderr)
        return 3
    try:
        before = accepted.read(target)
    except AcceptedError as error:
        before = None
        print(safe(f"the old file is replaced unread: {error}"), file=sys.stderr)
    try:
        accepted.write(run, target)
    except OSError as error:
        print(f"preflight: {safe(f'{target} can not be written: {error.strerror}')}", file=sys.stderr)
        return 1
    for line in lines(run, before, os.path.relpath(target)):
        print(safe(line))
    return 0


def gather(config: Config, statement: dict[str, Any], *, by: str | None, note: str) -> Accepted:
    """What is kept of a run.

    Args:
        config: Its config.
        statement: Its postflight clearance.
        by: Who accepts it; None for the name that git signs with, or else that of the login.
        note: What they say of it.

    Raises:
        clearance.Refused: what the postflight wrote is gone or damaged.
    """
    folder = config.artefacts("postflight")
    report = _json(config, folder / "report.json")
    card = config.output_dir / "run-card.json"
    git = _json(config, card, {}).get("git")
    scores, held_out = (_json(config, folder / name, {}) for name in ("scores.json", "held_out.json"))
    judged = {code for code, outcome in statement["predicate"]["outcomes"].items() if outcome != "not-available"}
    try:
        measured = {
            check["code"]: seen
            for check in report["checks"]
            if check["code"].startswith("POST-")
            and check["code"] in judged
            and (seen := accepted.numbers_of(check["evidence"]))
        }
        return Accepted(
            name=config.name,
            accepted=date.today(),
            by=" ".join((by or "").split()) or name_of_user(config.folder),
            note=" ".join(note.split()),
            weights=accepted.weights_of(config),
            run_card=digests.of_file(card) if card.is_file() else None,
            commit=git.get("commit") if isinstance(git, dict) else None,
            versions=dict(machine.versions()),
            base=accepted.base_of(config),
            data=accepted.data_of(config),
            held_out=accepted.loss_of(held_out) if held_out else None,
            metrics=accepted.metrics_of(scores),
            measured=measured,
        )
    except (ValueError, LookupError, TypeError, AttributeError, OSError, NotAvailable) as error:
        raise clearance.Refused(
            f"what the postflight wrote to {folder} is damaged ({type(error).__name__}: {error}); "
            f"run `pytest --postflight {config.path.name}` again"
        ) from error


def _json(config: Config, path: Path, missing: Any = None) -> Any:
    """An object of a file; what is given for a file that isn't there, if anything is."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if missing is not None:
            return missing
        value = None
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise clearance.Refused(f"{path} is gone or damaged; run `pytest --postflight {config.path.name}` again")
    return value


def lines(run: Accepted, before: Accepted | None, name: str) -> Iterator[str]:
    """What is printed: the file, and each number beside what it was."""
    yield f"{name}: {run.name}, accepted by {run.by}"
    if before is None:
        yield "the first accepted run; commit the file, and later runs are compared with it"
    else:
        yield f"it replaces the run that {before.by} accepted on {before.accepted}"
        yield from _identity(before, run)
    now, then = numbers(run), {} if before is None else numbers(before)
    names = [title for title in now if now[title] != then.get(title)] if then else list(scores(run))
    names += [title for title in then if title not in now]
    width = min(max(map(len, names), default=0), 40)
    for title in names[:MAX_LINES]:
        yield f"  {title[:40]:{width}}  {_change(then.get(title), now.get(title), first=not then)}"
    if (more := (len(names) if then else len(now)) - min(len(names), MAX_LINES)) > 0:
        yield f"  and {counted(more, 'number')} more in the file"
    if then and (same := sum(now[title] == then.get(title) for title in now)):
        yield f"  {counted(same, 'number')} unchanged"


def numbers(run: Accepted) -> dict[str, float]:
    """Its numbers by what they are: scores first, then what single checks measured."""
    told = {f"{code} {key.replace('_', ' ')}": each for code, it in run.measured.items() for key, each in it.items()}
    return scores(run) | told


def scores(run: Accepted) -> dict[str, float]:
    """Its metrics and its loss by what they are."""
    titles = [metric.title for metric in run.metrics.values()]
    found: dict[str, float] = {
        metric.title if titles.count(metric.title) == 1 else name: metric.tuned.value
        for name, metric in run.metrics.items()
    }
    if run.held_out is not None:
        found["held-out loss"] = run.held_out.tuned
    return found


def _identity(before: Accepted, run: Accepted) -> Iterator[str]:
    if before.weights == run.weights:
        yield "the weights are the same"
    if before.base.weights != run.base.weights:
        yield f"the base model is another one: {before.base.name} before, {run.base.name} now"
    if before.data != run.data:
        yield "the held-out data is other data: the numbers are of different questions"


def _change(then: float | None, now: float | None, *, first: bool) -> str:
    if then is None or now is None:
        value = _short(now if then is None else then)
        return value if first else f"{value} (new)" if then is None else f"{value} before, not measured now"
    return f"{_short(then)} → {_short(now)} ({now - then:+.4g})"


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"

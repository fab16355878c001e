"""`preflight review`: serve a random sample of the training data to a person, and keep what they say."""

import os
import sys
import webbrowser
from pathlib import Path

from preflight.config import ConfigError, load_config
from preflight.findings import NotAvailable
from preflight.report.terminal import safe
from preflight.review import record
from preflight.review.desk import Desk, open_desk
from preflight.signer import name_of_user


def review(path: Path, *, samples: int, seed: int | None, port: int, reviewer: str | None, browser: bool) -> int:
    """Review until the reviewer is done or presses Ctrl-C.

    Returns:
        0 when the reviewer is done; 1 if there is nothing to review or no way to, 4 if the config can't be read.
    """
    from preflight.data.prepare import prepare
    from preflight.model.tokenizer import load_tokenizer

    try:
        config = load_config(path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 4
    try:
        tokenizer = load_tokenizer(config)
        prepared = prepare(config, tokenizer, sys.stderr)
        name = " ".join((reviewer or "").split()) or name_of_user(config.folder)
        desk = open_desk(config, prepared, tokenizer, reviewer=name, count=samples, seed=seed)
    except KeyboardInterrupt:
        return 130
    except NotAvailable as error:
        return _say(f"nothing can be reviewed: {error}")
    except record.RecordError as error:
        return _say(f"{record.path_of(config)}: {error}")
    if not desk.order:
        return _say(f"there is no example to review; pytest --preflight {os.path.relpath(path)} says why")
    return serve(desk, port, browser)


def serve(desk: Desk, port: int, browser: bool) -> int:
    """Serve the desk, and say at the end what stands in the record."""
    from preflight.review.server import Server

    try:
        server = Server(desk, port)
    except OSError as error:
        return _say(f"port {port} can't be used: {error.strerror}; leave --port out for a free one")
    name = os.path.relpath(desk.path)
    with server:
        try:
            for line in _greeting(desk, server.url):
                print(safe(line), flush=True)
            if browser and (sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))):
                webbrowser.open(server.url)  # without a display it would start a text browser in this terminal
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            print()
    try:
        print(safe(f"{name}: {record.summary(record.load(desk.path) and desk.record())}"))
    except record.RecordError as error:
        return _say(f"{name}: {error}")
    return 0


def _greeting(desk: Desk, url: str) -> list[str]:
    lines = [f"{len(desk.order)} of {desk.empty.data.rows:,} rows to review, as {desk.reviewer}:", f"  {url}"]
    found = record.load(desk.path)
    if found is not None and found.data.digest != desk.empty.data.digest:
        changes = "; ".join(record.differences(found.data, desk.empty.data))
        lines.insert(0, f"{desk.path.name} is of other data ({changes}). It is moved aside with your first verdict.")
    if os.environ.get("SSH_CONNECTION"):
        port = url.split(":")[2].partition("/")[0]
        lines.append(
            f"From your own machine: ssh -L {port}:127.0.0.1:{port} to this one, then open that address there."
        )
    return [*lines, "Ctrl-C ends it; every verdict is saved at once."]


def _say(problem: str) -> int:
    print(f"preflight: {safe(problem)}", file=sys.stderr)
    return 1

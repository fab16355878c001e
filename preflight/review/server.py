"""The local page: HTTP on 127.0.0.1, for whoever knows the address.

Every path starts with a random token. Requests under another host name are refused, since a web site could have its own
name lead to 127.0.0.1; and posts that come from another site's page.
"""

import secrets
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote

from preflight.findings import counted
from preflight.review import page, record
from preflight.review.desk import Desk

LONGEST_POST = 64 * 1024  # bytes; a comment has at most 4,000 characters
VERDICTS: dict[str, record.Opinion] = {"accept": "accept", "reject": "reject"}


class Server(ThreadingHTTPServer):
    """Serves a desk until someone is done.

    Attributes:
        desk: What is served.
        token: What every path starts with.
    """

    daemon_threads = True

    def __init__(self, desk: Desk, port: int) -> None:
        self.desk = desk
        self.token = secrets.token_urlsafe(24)
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away before it has its answer is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    server_version = "preflight"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        path = self._path()
        desk = self.server.desk
        if path is None:
            return
        try:
            if path == "":
                self._go(desk.next_place())
            elif path == "summary":
                self._answer(200, _summary(desk))
            elif (place := _place(path, desk)) is not None:
                self._answer(200, _row(desk, place))
            else:
                self._refuse(404, "there is no such page")
        except record.RecordError as error:
            self._refuse(500, f"{desk.path.name} can't be read: {error}")

    def do_POST(self) -> None:
        path = self._path()
        desk = self.server.desk
        if path is None:
            return
        if self.headers["Origin"] != f"http://{self.headers['Host']}":
            self._refuse(403, "this did not come from the review's own page")
            return
        size = self.headers["Content-Length"] or ""
        if not size.isascii() or not size.isdigit() or int(size) > LONGEST_POST:
            self._refuse(413, "too long")
            return
        fields = parse_qs(self.rfile.read(int(size)).decode("utf-8", "replace"), keep_blank_values=True)
        wish, comment = (fields.get(name, [""])[0] for name in ("do", "comment"))
        place = _place(path, desk)
        try:
            if path == "summary" and wish == "done":
                self._answer(200, _summary(desk, closed=True))
                self.server.shutdown()
            elif path == "summary" and wish == "back":
                self._go(len(desk.order))
            elif place is not None and wish in (*VERDICTS, "comment", "back", "on"):
                self._go(_act(desk, place, wish, comment.replace("\r\n", "\n").strip()))
            else:
                self._refuse(404, "there is no such page")
        except (record.RecordError, OSError) as error:
            self._refuse(500, f"{desk.path.name} was not written: {error}")

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: the terminal is for the reviewer."""

    def _path(self) -> str | None:
        """What is asked for, behind the token; None if the request was refused."""
        hosts = [f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost")]
        token, _, path = self.path.removeprefix("/").partition("/")
        if self.headers["Host"] not in hosts:
            self._refuse(403, f"this page is only at {hosts[0]}")
        elif not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(403, "the address lacks its token: copy all of what `preflight review` printed")
        else:
            return path.partition("?")[0]
        return None

    def _go(self, place: int | None) -> None:
        """Send the browser to a row; to the summary if none is left."""
        self._answer(303, "", Location=f"/{self.server.token}/{quote(str(place or 'summary'))}")

    def _refuse(self, status: int, why: str) -> None:
        self._answer(status, f"{status}: {why}\n", kind="text/plain")

    def _answer(self, status: int, body: str, kind: str = "text/html", **more: str) -> None:
        content = body.encode("utf-8", "backslashreplace")
        self.send_response(status)
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(content)),
            "Content-Security-Policy": page.policy(),
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "same-origin",  # with no-referrer a browser hides the origin of posts too
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in (headers | more).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _place(path: str, desk: Desk) -> int | None:
    """The place in the sample, from 1, that a path names."""
    number = int(path) if path.isascii() and path.isdigit() and len(path) < 10 else 0
    return number if 1 <= number <= len(desk.order) else None


def _act(desk: Desk, place: int, wish: str, comment: str) -> int | None:
    """Do what a button says, and return the place to go on with. Every button keeps a changed comment."""
    row = desk.order[place - 1]
    mine, _ = desk.said(row)
    before = (mine.verdict, mine.comment) if mine else (None, "")
    now = (VERDICTS.get(wish, before[0]), comment)
    if now != before:
        desk.say(row, *now)
    match wish:
        case "back":
            return max(place - 1, 1)
        case "on":
            return place + 1 if place < len(desk.order) else None
        case "comment":
            return place
    return desk.next_place(after=place)


def _frame(desk: Desk) -> dict[str, Any]:
    """What every page shows."""
    done = len(desk.record().judged & set(desk.order))
    total = len(desk.order)
    return {"name": desk.config.name, "reviewer": desk.reviewer, "done": done, "total": total, "left": total - done}


def _row(desk: Desk, place: int) -> str:
    row = desk.order[place - 1]
    mine, others = desk.said(row)
    return page.render(
        **_frame(desk),
        place=place,
        facts=desk.items[row].facts,
        view=desk.view(row),
        row=desk.as_written(row),
        mine=mine or {},
        others=others,
    )


def _summary(desk: Desk, *, closed: bool = False) -> str:
    frame = _frame(desk)
    places = {row: place for place, row in enumerate(desk.order, 1)}
    said = [(places[verdict.row], who, verdict) for who, verdict in desk.record().said() if verdict.row in places]
    marked = sorted((one for one in said if one[2].verdict != "accept" or one[2].comment), key=lambda one: one[0])
    heading = f"{counted(frame['left'], 'row')} to go" if frame["left"] else f"All {frame['total']} rows reviewed"
    summary = f"{desk.path.name}: {record.summary(desk.record())}"
    return page.render(
        **frame, closed=closed, heading=heading, summary=summary, marked=marked, next=desk.next_place() or 1
    )

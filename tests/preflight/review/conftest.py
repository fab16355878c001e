"""A reviewer's desk on a small project, and the page that it is served on."""

import http.client
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from preflight.config import load_config
from preflight.data.prepare import prepare
from preflight.model.tokenizer import Tokenizer, load_tokenizer
from preflight.review.desk import Desk, open_desk
from preflight.review.server import Server


@pytest.fixture(scope="session")
def reading(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """The tiny model's tokenizer, loaded once."""
    path = tmp_path_factory.mktemp("tokenizer") / "config.yaml"
    path.write_text(f"model: {{name_or_path: {tiny}}}\ndata: {{train: a.jsonl}}\ntraining: {{output_dir: run}}\n")
    return load_tokenizer(load_config(path))


@pytest.fixture
def project(project: Any) -> Any:
    """The sound project, with 60 rows to train on."""
    lines = (project.folder / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    project.text("".join(lines[:60]))
    return project


@pytest.fixture
def sit(project: Any, reading: Tokenizer) -> Callable[..., Desk]:
    """Sit down at the project's data: `sit("Ada", count=5)`."""

    def at_desk(reviewer: str = "Ada", *, count: int = 5, seed: int | None = None) -> Desk:
        config = load_config(project.write())
        return open_desk(config, prepare(config, reading), reading, reviewer=reviewer, count=count, seed=seed)

    return at_desk


@dataclass(frozen=True)
class Site:
    """A desk that is being served."""

    server: Server

    @property
    def home(self) -> str:
        return urlsplit(self.server.url).path

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def get(self, path: str = "", **headers: str) -> tuple[int, dict[str, str], str]:
        return self.ask("GET", self.home + path, None, headers)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> tuple[int, dict[str, str], str]:
        own = {"Origin": f"http://{self.host}", "Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", self.home + path, urlencode(fields), own | headers)

    def ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
        """One request, and what came back: status, headers, text. A header of an empty value is left out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=30)
        sent = {name: value for name, value in headers.items() if value}
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in sent.items():
            connection.putheader(name, value)
        if body is not None and "Content-Length" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders((body or "").encode())
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, dict(answer.getheaders()), text


@pytest.fixture
def serve() -> Iterator[Callable[[Desk], Site]]:
    """Serve a desk in a thread until the test is over."""
    running: list[tuple[Server, threading.Thread]] = []

    def served(desk: Desk) -> Site:
        server = Server(desk, 0)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        running.append((server, thread))
        return Site(server)

    yield served
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()

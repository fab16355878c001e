"""Asking a server in the place of transformers: OpenAI's completions protocol, as vLLM and others speak it.

Prompts go as token ids, so that they are those of the training; to a server that takes only text, as text. vLLM's own
keys (`stop_token_ids` and the like) go with them unless the server refuses them. What is asked for at once is as much
as one batch has here; vLLM makes a batch of it by itself.
"""

import json
import os
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, NoReturn
from urllib.error import HTTPError
from urllib.parse import urlsplit

from preflight.config.evaluation import Server
from preflight.evaluation.generate import BATCH, TEMPERATURE, TOP_P, Reply, Sample, Speak, reply
from preflight.findings import NotAvailable, not_available
from preflight.model.tokenizer import Tokenizer

TIMEOUT = 120.0  # seconds without a byte
PAUSES = (1.0, 2.0, 4.0)  # seconds before each new try when a server doesn't answer, or is busy
BUSY = frozenset((429, 502, 503, 504))
REFUSED = frozenset((400, 422, 501))  # how servers say that they don't take a request as it is
MOST = 64 << 20  # bytes of an answer
KEY = "evaluation.server"


class Refused(Exception):
    """The server doesn't take a request in this form."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect could carry the key to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class Connection:
    """A server, and how it wants to be asked.

    Attributes:
        server: What the config says of it.
        tokenizer: The tokenizer that the run trained with.
        key: What it is shown, if it asks for a key.
        form: Which of the forms of a request it takes; None until one was taken.
    """

    server: Server
    tokenizer: Tokenizer
    key: str | None = None
    form: Callable[[list[int]], dict[str, Any]] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return self.server.url.rstrip("/").removesuffix("/v1")

    def get(self, path: str) -> Any:
        """What the server has at a path, read as JSON."""
        return self._send(urllib.request.Request(f"{self.url}{path}", headers=self._headers()))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """What the server answers to a body.

        Raises:
            Refused: it doesn't take it in this form.
        """
        headers = {**self._headers(), "Content-Type": "application/json"}
        return self._send(urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), headers))

    def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json", **({"Authorization": f"Bearer {self.key}"} if self.key else {})}

    def _send(self, request: urllib.request.Request) -> Any:
        local = urlsplit(self.url).hostname in ("localhost", "127.0.0.1", "::1")
        proxies = [urllib.request.ProxyHandler({})] if local else []  # a proxy would look for it on its own machine
        opener = urllib.request.build_opener(_NoRedirects, *proxies)
        said = ""
        for pause in (*PAUSES, None):
            try:
                with closing(opener.open(request, timeout=TIMEOUT)) as response:
                    return json.loads(response.read(MOST))
            except HTTPError as error:
                said = f"answers {error.code}: {_message(error)}"
                if error.code in REFUSED:
                    raise Refused(said) from None
                if error.code in (401, 403):
                    not_available(f"{self.url} {said}; name the variable with its key in {KEY}.api_key_variable")
                if error.code not in BUSY:
                    not_available(f"{self.url} {said}; see {KEY}.url")
            except (OSError, HTTPException) as error:
                reason = getattr(error, "reason", error)
                if isinstance(reason, TimeoutError):
                    not_available(f"{self.url} said nothing for {TIMEOUT:g} s: see its log")
                said = f"can't be reached ({reason or type(error).__name__})"
            except (ValueError, RecursionError):
                not_available(f"{self.url} answers with something else than JSON; see {KEY}.url")
            if pause is not None:
                time.sleep(pause)
        not_available(f"{self.url} {said}, tried {len(PAUSES) + 1} times: start the server, or remove {KEY}")


def connect(server: Server, tokenizer: Tokenizer) -> Connection:
    """A connection to a server that serves both models.

    Raises:
        NotAvailable: it can't be reached, or doesn't serve them.
    """
    name = server.api_key_variable
    key = os.environ.get(name) if name else None
    if name and not key:
        not_available(f"the variable {name} is not set, which {KEY}.api_key_variable names")
    connection = Connection(server, tokenizer, key)
    try:
        served = [str(model["id"]) for model in connection.get("/v1/models")["data"]]
    except (Refused, KeyError, TypeError):
        not_available(f"{connection.url}/v1/models lists no models: is it an OpenAI-compatible server?")
    for field_name in ("model", "base_model"):
        wanted = getattr(server, field_name)
        if wanted not in served:
            not_available(
                f"{connection.url} serves no {wanted!r} ({KEY}.{field_name}); it serves {', '.join(served) or 'none'}"
            )
    return connection


def speakers(server: Server, tokenizer: Tokenizer) -> tuple[Speak, Speak]:
    """How its base and its tuned model are asked for greedy answers."""
    connection = connect(server, tokenizer)

    def asked(name: str) -> Speak:
        def speak(prompts: Sequence[list[int]], limit: int) -> list[Reply]:
            body = {"model": name, "max_tokens": limit, "temperature": 0}
            return [found for (found,) in _ask(connection, prompts, body)]

        return speak

    return asked(server.base_model), asked(server.model)


def samplers(server: Server, tokenizer: Tokenizer, many: int, seed: int) -> tuple[Sample, Sample]:
    """How its base and its tuned model are asked for `many` sampled answers to each prompt."""
    connection = connect(server, tokenizer)
    how = {"n": many, "temperature": TEMPERATURE, "top_p": TOP_P, "seed": seed}

    def asked(name: str) -> Sample:
        def sample(prompts: Sequence[list[int]], limit: int) -> list[list[Reply]]:
            return list(_ask(connection, prompts, {**how, "model": name, "max_tokens": limit}))

        return sample

    return asked(server.base_model), asked(server.model)


def _ask(connection: Connection, prompts: Sequence[list[int]], body: Mapping[str, Any]) -> Iterator[list[Reply]]:
    """The answers to each prompt, in their order."""
    first, *rest = prompts
    yield _answers(connection, first, body)  # alone: it finds out how the server wants to be asked
    with ThreadPoolExecutor(BATCH) as pool:
        yield from pool.map(lambda prompt: _answers(connection, prompt, body), rest)


def _answers(connection: Connection, prompt: list[int], body: Mapping[str, Any]) -> list[Reply]:
    tokenizer = connection.tokenizer
    vllm = {
        "stop_token_ids": sorted(tokenizer.stop_ids),
        "skip_special_tokens": False,
        "spaces_between_special_tokens": False,
        "return_token_ids": True,
    }
    forms: tuple[Callable[[list[int]], dict[str, Any]], ...] = (
        lambda ids: {"prompt": ids, **vllm},
        lambda ids: {"prompt": ids},
        lambda ids: {"prompt": tokenizer.hf.decode(ids), "add_special_tokens": False, **vllm},
        lambda ids: {"prompt": tokenizer.hf.decode(ids)},
    )
    refusals = []
    for form in (connection.form,) if connection.form else forms:
        try:
            found = connection.post("/v1/completions", {**body, **form(prompt)})
        except Refused as refused:
            refusals.append(str(refused))
            continue
        connection.form = form
        return _read(connection, found, int(body.get("n", 1)))
    not_available(f"{connection.url}/v1/completions {refusals[0]}")


def _read(connection: Connection, found: Any, many: int) -> list[Reply]:
    try:
        choices = sorted(found["choices"], key=lambda choice: int(choice.get("index", 0)))
        replies = [_reply(connection.tokenizer, choice) for choice in choices]
    except (KeyError, TypeError, ValueError, AttributeError):
        _nonsense(connection, found)
    if len(replies) != many:
        _nonsense(connection, found)
    return replies


def _reply(tokenizer: Tokenizer, choice: Mapping[str, Any]) -> Reply:
    """What a server says, as if transformers had said it: without the token that stopped it."""
    stopped = choice.get("finish_reason") == "stop"
    ids = choice.get("token_ids")
    if isinstance(ids, list) and ids:
        own = reply(tokenizer, [int(token) for token in ids])
        return Reply(own.text, own.ids, own.stopped or stopped)
    text = choice["text"]
    if not isinstance(text, str):
        raise TypeError(type(text))
    for token in tokenizer.hf.convert_ids_to_tokens(sorted(tokenizer.stop_ids)):
        if token and text.endswith(token):
            text, stopped = text.removesuffix(token), True
    return Reply(text, list(tokenizer.hf(text, add_special_tokens=False)["input_ids"]), stopped)


def _nonsense(connection: Connection, found: Any) -> NoReturn:
    raise NotAvailable(f"{connection.url}/v1/completions answers with no choices: {json.dumps(found)[:200]}") from None


def _message(error: HTTPError) -> str:
    """What a server says of its error, in a line."""
    text = ""
    try:
        text = error.read(MOST).decode("utf-8", "replace")
        found = json.loads(text)
        inner = found.get("error", found) if isinstance(found, dict) else found
        text = str(inner.get("message", inner)) if isinstance(inner, dict) else str(inner)
    except (OSError, HTTPException, ValueError, RecursionError):
        pass  # what it said as it stands, if anything
    return " ".join(text.split())[:300] or error.reason

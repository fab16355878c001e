"""A real server on a local port that speaks the completions protocol, well and badly."""

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from preflight.config.evaluation import Server
from preflight.evaluation import server as asked
from preflight.evaluation.generate import Reply, sampled, samplers, speakers
from preflight.findings import NotAvailable
from preflight.model.tokenizer import load_tokenizer

SAID = {"base": "I am the base.", "tuned": "I am tuned."}


@pytest.fixture
def tokenizer(project):
    from preflight.config import load_config

    return load_tokenizer(load_config(project.write()))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(asked, "PAUSES", (0.01, 0.01))


class Fake:
    """What the server is told to do, and what it was asked."""

    def __init__(self, **how):
        self.models = how.pop("models", ["base", "tuned"])
        self.how = SimpleNamespace(**{"texts_only": False, "plain_only": False, "fail": [], **how})
        self.bodies, self.headers = [], []
        self.lock = threading.Lock()

    def complete(self, body):
        """Status and answer to a body, as vLLM would."""
        with self.lock:
            self.bodies.append(body)
            if self.how.fail:
                return self.how.fail.pop(0)
        if self.how.texts_only and not isinstance(body["prompt"], str):
            return 422, {"detail": "prompt: Input should be a valid string"}
        if self.how.plain_only and "stop_token_ids" in body:
            return 400, {"error": {"message": "Unrecognized request argument: stop_token_ids"}}
        text = SAID[body["model"]]
        finish = "stop" if body["max_tokens"] > 4 else "length"
        choices = [{"index": n, "text": text, "finish_reason": finish} for n in range(body.get("n", 1))]
        return 200, {"choices": choices[::-1]}


@contextmanager
def serving(fake):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            fake.headers.append(dict(self.headers))
            self.say(*getattr(fake.how, "listing", (200, {"data": [{"id": name} for name in fake.models]})))

        def do_POST(self):
            self.say(*fake.complete(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def say(self, status, value):
            if status is None:  # hangs up
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:1/v1/models")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def of(url, **more):
    return Server(url=url, model="tuned", base_model="base", **more)


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
def test_both_models_are_asked_with_token_ids(tokenizer, end):
    fake = Fake()
    prompts = [[1, 2, n] for n in range(20)]
    with serving(fake) as url:
        base, tuned = asked.speakers(of(url + end), tokenizer)
        before, after = base(prompts, 64), tuned(prompts, 64)

    assert {reply.text for reply in before} == {SAID["base"]}
    assert {reply.text for reply in after} == {SAID["tuned"]}
    assert all(reply.stopped for reply in before + after)
    assert tokenizer.hf.decode(after[0].ids) == SAID["tuned"]
    assert sorted(body["prompt"] for body in fake.bodies) == sorted(prompts * 2)
    body = fake.bodies[0]
    assert (body["temperature"], body["max_tokens"], body["stop_token_ids"]) == (0, 64, sorted(tokenizer.stop_ids))


def test_what_runs_into_the_limit_did_not_stop(tokenizer):
    with serving(Fake()) as url:
        _, tuned = asked.speakers(of(url), tokenizer)
        assert [reply.stopped for reply in tuned([[1]], 4)] == [False]


def test_answers_are_in_the_order_of_the_prompts(tokenizer):
    class Echo(Fake):
        def complete(self, body):
            return 200, {"choices": [{"text": str(body["prompt"][0]), "finish_reason": "stop"}]}

    with serving(Echo()) as url:
        _, tuned = asked.speakers(of(url), tokenizer)
        assert [reply.text for reply in tuned([[n] for n in range(40)], 8)] == [str(n) for n in range(40)]


@pytest.mark.parametrize(
    "how, prompt, own",
    [
        pytest.param({"texts_only": True}, "<|im_start|>user", True, id="takes text only"),
        pytest.param({"plain_only": True}, [1, 4093], False, id="takes no keys of vLLM's"),
        pytest.param({"texts_only": True, "plain_only": True}, "<|im_start|>user", False, id="takes neither"),
    ],
)
def test_it_is_asked_as_it_likes_it(tokenizer, how, prompt, own):
    fake = Fake(**how)
    assert tokenizer.hf.decode([1, 4093]) == "<|im_start|>user"
    with serving(fake) as url:
        base, _ = asked.speakers(of(url), tokenizer)
        assert [reply.text for reply in base([[1, 4093]] * 3, 64)] == [SAID["base"]] * 3

    assert fake.bodies[-1]["prompt"] == prompt
    assert ("stop_token_ids" in fake.bodies[-1]) == own
    taken = [body for body in fake.bodies if body["prompt"] == prompt and ("stop_token_ids" in body) == own]
    assert len(taken) == 3, "the first prompt finds out how, the others know"


@pytest.mark.parametrize(
    "choice, reply",
    [
        pytest.param({"text": "x", "token_ids": [100, 101, 2]}, ([100, 101], True), id="ids with the token that stops"),
        pytest.param({"text": "x", "token_ids": [100, 101], "finish_reason": "stop"}, ([100, 101], True), id="without"),
        pytest.param(
            {"text": "x", "token_ids": [100, 101], "finish_reason": "length"}, ([100, 101], False), id="limit"
        ),
        pytest.param({"text": "Hi.<|im_end|>", "finish_reason": "length"}, ("Hi.", True), id="text that shows it"),
        pytest.param({"text": "", "finish_reason": "stop"}, ("", True), id="nothing"),
        pytest.param({"text": "Hi.", "finish_reason": None}, ("Hi.", False), id="no reason"),
    ],
)
def test_what_it_says_becomes_what_transformers_would(tokenizer, choice, reply):
    said, stopped = reply
    ids = said if isinstance(said, list) else tokenizer.hf(said)["input_ids"]
    with serving(Fake(fail=[(200, {"choices": [choice]})])) as url:
        _, tuned = asked.speakers(of(url), tokenizer)
        assert tuned([[1]], 8) == [Reply(tokenizer.hf.decode(ids), ids, stopped)]


@pytest.mark.parametrize("hiccup", [(503, b"busy"), (429, {"error": "slow down"}), (None, None)])
def test_a_hiccup_is_survived(tokenizer, hiccup):
    with serving(Fake(fail=[hiccup, hiccup])) as url:
        _, tuned = asked.speakers(of(url), tokenizer)
        assert tuned([[1]], 64)[0].text == SAID["tuned"]


@pytest.mark.parametrize(
    "fail, reason",
    [
        pytest.param([(503, b"busy")] * 9, "answers 503: busy, tried 3 times", id="busy for ever"),
        pytest.param([(500, {"error": {"message": "CUDA\nerror"}})], "answers 500: CUDA error", id="an error"),
        pytest.param([(404, {"detail": "Not Found"})], "answers 404", id="no completions"),
        pytest.param([(400, {"message": "longer than 2048 tokens"})] * 4, "longer than 2048 tokens", id="too long"),
        pytest.param([(200, b"<html>")], "something else than JSON", id="a page"),
        pytest.param([(200, {"choices": []})], "no choices", id="no choices"),
        pytest.param([(200, {"choices": [{"message": "hi"}]})], "no choices", id="a chat"),
        pytest.param([(200, {"choices": [{"text": 7}]})], "no choices", id="no text"),
        pytest.param([(200, {"choices": [{"text": "", "token_ids": ["a"]}]})], "no choices", id="ids of words"),
        pytest.param([(200, [1])], "no choices", id="a list"),
        pytest.param([(200, None)], "no choices", id="null"),
        pytest.param([(200, b"[" * 100_000)], "something else than JSON", id="brackets"),
        pytest.param([(302, b"")], "answers 302", id="a redirect"),
    ],
)
def test_answers_of_no_use(tokenizer, fail, reason):
    with serving(Fake(fail=fail)) as url:
        base, _ = asked.speakers(of(url), tokenizer)
        with pytest.raises(NotAvailable, match=reason) as raised:
            base([[1], [2]], 64)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "listing, reason",
    [
        pytest.param((200, {"data": [{"id": "other"}, {"id": "tuned"}]}), "serves no 'base' .*other, tuned", id="none"),
        pytest.param((200, {"data": []}), "serves no 'tuned' .*serves none", id="nothing"),
        pytest.param((200, {"models": []}), "lists no models", id="another protocol"),
        pytest.param((200, []), "lists no models", id="a list"),
        pytest.param((400, {}), "lists no models", id="refused"),
        pytest.param((401, {"error": "no key"}), "api_key_variable", id="no key"),
        pytest.param((302, b""), "answers 302", id="a redirect"),
    ],
)
def test_a_server_that_does_not_fit(tokenizer, listing, reason):
    with serving(Fake(listing=listing)) as url, pytest.raises(NotAvailable, match=reason):
        asked.connect(of(url), tokenizer)


def test_no_server(tokenizer):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(NotAvailable, match=r"can't be reached .*refused.*, tried 3 times: start the server"):
        asked.connect(of(url), tokenizer)


def test_a_server_that_hangs(tokenizer, monkeypatch):
    monkeypatch.setattr(asked, "TIMEOUT", 0.2)
    said_nothing = pytest.raises(NotAvailable, match=r"said nothing for 0.2 s")
    with socket.create_server(("127.0.0.1", 0)) as silent, said_nothing:
        asked.connect(of(f"http://127.0.0.1:{silent.getsockname()[1]}"), tokenizer)


def test_the_key(tokenizer, monkeypatch):
    fake = Fake()
    with serving(fake) as url:
        monkeypatch.setenv("SERVER_KEY", "secret")
        asked.connect(of(url, api_key_variable="SERVER_KEY"), tokenizer)
        assert fake.headers[-1]["Authorization"] == "Bearer secret"
        monkeypatch.delenv("SERVER_KEY")
        with pytest.raises(NotAvailable, match="variable SERVER_KEY is not set"):
            asked.connect(of(url, api_key_variable="SERVER_KEY"), tokenizer)
        asked.connect(of(url), tokenizer)
    assert "Authorization" not in fake.headers[-1]


def test_the_config_decides_who_is_asked(flight):
    fake = Fake()
    with serving(fake) as url:
        server = {"url": url, "model": "tuned", "base_model": "base"}
        config, trained, _ = flight(evaluation={"server": server, "samples": 3})
        base, tuned = speakers(config, trained)
        assert (base([[1]], 8)[0].text, tuned([[1]], 8)[0].text) == (SAID["base"], SAID["tuned"])
        _, sample = samplers(config, trained)
        found = sample([[1], [2]], 8)

    assert [[reply.text for reply in replies] for replies in found] == [[SAID["tuned"]] * 3] * 2
    body = fake.bodies[-1]
    assert (body["n"], body["temperature"], body["top_p"], body["seed"]) == (3, 0.8, 0.95, 42)


def test_samples_are_the_same_in_every_run(flight):
    config, trained, _ = flight(evaluation={"samples": 4})
    prompts = [[1, 5, 6], [1, 7]]

    first, again = (samplers(config, trained)[1](prompts, 8) for _ in range(2))
    base = samplers(config, trained)[0](prompts, 8)
    other = sampled(trained.model, trained.tokenizer, prompts, 8, many=4, seed=1)

    assert first == again != other
    assert base != first
    assert [len(replies) for replies in first] == [4, 4]
    assert len({reply.text for reply in first[0]}) > 1

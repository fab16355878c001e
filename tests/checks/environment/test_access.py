"""ENV-107 hub-access, ENV-108 tracker-login: what is asked of others, and what is missing for it."""

import importlib

import pytest
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from preflight.config import load_config
from preflight.environment import hub, trackers

httpx = importlib.import_module(HfHubHTTPError.__bases__[0].__module__.partition(".")[0])


def answer(status, kind):
    def ask(name, repo_type):
        response = httpx.Response(status, request=httpx.Request("GET", "https://example.org"))
        raise kind("refused", response=response)

    return ask


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda name, repo_type: None, None),
        (answer(403, GatedRepoError), "gated"),
        (answer(404, RepositoryNotFoundError), "private"),
        (answer(401, HfHubHTTPError), "401"),
    ],
)
def test_the_hubs_refusals_are_told_apart(ask, words):
    found = hub.refusal("who/what", "model", ask)

    assert (found is None) == (words is None)
    assert words is None or words in found[0]


@pytest.mark.parametrize("error", [httpx.ConnectError("no route"), httpx.ReadTimeout("slow")])
def test_a_hub_that_cannot_be_reached_is_no_refusal(error):
    def ask(name, repo_type):
        raise error

    with pytest.raises(OSError, match="can't be reached"):
        hub.refusal("who/what", "model", ask)


def test_a_hub_that_is_broken_is_no_refusal():
    with pytest.raises(OSError, match="503"):
        hub.refusal("who/what", "model", answer(503, HfHubHTTPError))


@pytest.mark.parametrize(
    ("model", "data", "expected"),
    [
        ("who/what", "train.jsonl", ["who/what"]),
        ("./model", "train.jsonl", []),
        ("model", "who/rows", ["who/rows"]),
        ("model", "data/*.jsonl", []),
        ("model", "/data/rows.jsonl", []),
    ],
)
def test_only_ids_are_asked_about(project, model, data, expected):
    path = project.set(model={"name_or_path": model}, data={"train": data}).write()

    assert [name for *_, name in hub.repositories(load_config(path))] == expected


def test_offline_says_so(project, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    project.set(model={"tokenizer": "who/what"})
    run = project.gate("-k", "ENV-107")

    assert run.outcome("ENV-107") == "not-applicable"
    assert "offline" in str(run.check("ENV-107"))


@pytest.mark.parametrize(("refusal", "outcome"), [(("is gated", "Accept its terms"), "failed"), (None, "passed")])
def test_a_refusal_blocks(project, expect, monkeypatch, refusal, outcome):
    monkeypatch.setattr(hub, "offline", lambda: False)
    monkeypatch.setattr(hub, "refusal", lambda name, kind: refusal)
    project.set(model={"tokenizer": "who/what"})

    expect("ENV-107", outcome)


def test_an_unreachable_hub_blocks_nothing(project, expect, monkeypatch):
    def refusal(name, kind):
        raise OSError("the hub can't be reached")

    monkeypatch.setattr(hub, "offline", lambda: False)
    monkeypatch.setattr(hub, "refusal", refusal)
    project.set(model={"tokenizer": "who/what"})

    expect("ENV-107", "not-applicable")


@pytest.mark.parametrize(
    ("environment", "files", "problem"),
    [
        ({}, {}, "isn't logged in"),
        ({"WANDB_API_KEY": "secret"}, {}, None),
        ({"WANDB_MODE": "offline"}, {}, None),
        ({"WANDB_MODE": "online"}, {}, "isn't logged in"),
        ({}, {".netrc": "machine api.wandb.ai login user password secret"}, None),
        ({}, {".netrc": "machine example.org login user password secret"}, "isn't logged in"),
        ({}, {".netrc": "nonsense"}, "isn't logged in"),
    ],
)
def test_a_tracker_is_logged_in_or_works_without(monkeypatch, tmp_path, environment, files, problem):
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: object())
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    assert trackers.problem("wandb", environment, tmp_path) == problem


@pytest.mark.parametrize(
    ("report_to", "names"),
    [(None, []), ("none", []), (["none"], []), ("wandb", ["wandb"]), (["wandb", "mlflow"], ["wandb", "mlflow"])],
)
def test_what_is_reported_to(report_to, names):
    assert trackers.asked_for(report_to) == names


def test_nothing_is_asked_of_a_run_that_reports_nothing(expect):
    expect("ENV-108", "not-applicable")


def test_a_missing_tracker_blocks_and_no_secret_is_shown(project, expect, monkeypatch):
    monkeypatch.setenv("COMET_API_KEY", "very-secret")
    monkeypatch.setattr(trackers, "problem", lambda name: "isn't logged in" if name == "wandb" else None)
    project.set(training={"report_to": ["wandb", "comet_ml"]})

    (finding,) = expect("ENV-108", "failed")

    assert "wandb login" in finding["fix"]
    assert "very-secret" not in str(finding)

"""POST-124: a version, by git tag or in the name."""

import json
import subprocess

import pytest

from preflight.checks.validation import tagged
from preflight.config import load_config


@pytest.fixture
def judged(project, judge):
    """Judge the model of a config of this name, with a run card that says so of git."""

    def findings(name="support-bot", **git):
        config = load_config(project.set(name=name).write())
        (project.folder / "run").mkdir(exist_ok=True)
        if git:
            (project.folder / "run" / "run-card.json").write_text(json.dumps({"git": git}))
        return judge(tagged.the_model_has_a_version, config=config)

    return findings


@pytest.fixture
def repository(project):
    """The project's folder as a git repository; `git("tag", "v1")`."""

    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        done = subprocess.run(["git", *who, *arguments], cwd=project.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    return git


@pytest.mark.parametrize(
    "name",
    ["support-bot-1.2", "support-bot-v3", "v2 of the bot", "bot_2.0.1rc1", "bot-2026-01-31", "bot-20260131", "1.0"],
)
def test_a_version_in_the_name(judged, name):
    assert judged(name, commit=None, tag=None) == []


@pytest.mark.parametrize(
    "name", ["support-bot", "smollm2", "llama-3.1-8b-support", "qwen2.5-bot", "bot-v", "phi-4", "vision-v2x"]
)
def test_no_version_in_the_name(judged, name):
    (finding,) = judged(name, commit=None, tag=None)

    assert "no number in its name, and no git commit to tag" in finding.message
    assert finding.fix == f"Set name: {name}-1.0."
    assert tagged.VERSION.search(f"{name}-1.0")


def test_a_tag_in_the_run_card(judged):
    assert judged(commit="a" * 40, tag="v1") == []


def test_a_tag_that_was_given_since(judged, repository):
    commit = repository("rev-parse", "HEAD")

    (finding,) = judged(commit=commit, tag=None)
    assert finding.fix == f"git tag support-bot-1.0 {commit[:12]}"
    repository(*finding.fix.split()[1:])
    assert judged(commit=commit, tag=None) == []


def test_a_tag_of_another_commit(judged, repository):
    commit = repository("rev-parse", "HEAD")
    repository("commit", "-q", "--allow-empty", "-m", "second")
    repository("tag", "v2")

    assert len(judged(commit=commit, tag=None)) == 1
    assert len(judged(commit=None, tag=None)) == 1


def test_a_model_that_was_trained_elsewhere(judged, repository):
    assert len(judged()) == 1
    repository("tag", "v1")
    assert judged() == []


@pytest.mark.parametrize("card", ["{", "[]", '{"git": 7}', '{"git": null}', "{}"])
def test_a_card_that_says_nothing(project, judged, card):
    (project.folder / "run").mkdir()
    (project.folder / "run" / "run-card.json").write_text(card)

    assert len(judged("bot; rm -rf /")) == 1


def test_the_outcome_is_a_warning(flown):
    run = flown.gate("-k", "POST-124", stage="postflight")
    assert run.outcome("POST-124") == "warned", run.screen

    flown.set(name="tiny-0.1")
    assert flown.gate("-k", "POST-124 or POST-106", stage="postflight").outcome("POST-124") == "passed"

"""What a clearance binds of the files that `evaluation` names."""

import json

import pytest

from preflight import subjects
from preflight.config import load_config


def named(project, stage="postflight", **evaluation):
    """Names of what is bound as part of the evaluation."""
    project.set(evaluation=evaluation)
    bound = subjects.bind(load_config(project.write()), stage)
    return [subject["name"] for subject in bound if subject["annotations"].get("kind") == "evaluation"]


@pytest.fixture
def files(project):
    """A project with a file for each key."""
    for name in ("asked.jsonl", "suite.jsonl", "edges.jsonl", "general.txt", "more.txt", "metrics.py", "schema.json"):
        project.text("{}\n", name)
    (project.folder / "tasks" / "below").mkdir(parents=True)
    project.text("task: own\n", "tasks/below/own.yaml")
    return project


@pytest.mark.parametrize(
    "evaluation, names",
    [
        ({}, []),
        ({"data": "asked.jsonl"}, ["asked.jsonl"]),
        ({"suite": "suite.jsonl", "edge_cases": "edges.jsonl"}, ["edges.jsonl", "suite.jsonl"]),
        ({"general": "general.txt"}, ["general.txt"]),
        ({"general": ["general.txt", "more.txt"]}, ["general.txt", "more.txt"]),
        ({"general": "*.txt"}, ["general.txt", "more.txt"]),
        ({"metrics": ["accuracy", "metrics.py:polite"]}, ["metrics.py"]),
        ({"metrics": {"metrics.py:polite": {"min": 0.5}, "metrics.py:short": None}}, ["metrics.py"]),
        ({"format": {"json_schema": "schema.json"}}, ["schema.json"]),
        ({"format": {"json_schema": {"type": "object"}}}, []),
        ({"format": "[a-z]+"}, []),
        ({"lm_eval": {"tasks": ["own"], "include_path": "tasks"}}, ["tasks/below/own.yaml"]),
        ({"suite": "gone.jsonl", "data": "validation.jsonl"}, []),
    ],
)
def test_files_that_the_evaluation_names_are_bound(files, evaluation, names):
    """One that isn't there has a check of its own, and the validation data is bound as such."""
    assert named(files, **evaluation) == names


def test_before_the_run_they_do_not_matter(files):
    assert named(files, stage="preflight", data="asked.jsonl", suite="suite.jsonl") == []


def test_a_change_while_the_gate_runs_is_seen(files):
    files.set(evaluation={"suite": "suite.jsonl"})
    config = load_config(files.write())
    before = subjects.stamps(config, "postflight")

    files.text("{}\n\n", "suite.jsonl")
    (files.folder / "accepted").mkdir()
    files.text("{}", "accepted/tiny.json")

    after = subjects.stamps(config, "postflight")
    assert {name for name in after if before[name] != after[name]} == {"suite.jsonl", "accepted/tiny.json"}
    assert "suite.jsonl" not in subjects.stamps(config, "preflight")


def test_a_full_fine_tuning_has_its_weights_bound(project):
    project.set(lora=None)
    (project.folder / "run").mkdir()
    for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "run-card.json"):
        project.text(json.dumps({}), f"run/{name}")

    bound = subjects.bind(load_config(project.write()), "postflight")
    trained = [subject["name"] for subject in bound if subject["annotations"].get("kind") == "trained"]
    assert trained == [
        "run/run-card.json",
        "run/model-00001-of-00002.safetensors",
        "run/model-00002-of-00002.safetensors",
    ]

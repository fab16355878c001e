"""CFG-126 positions, CFG-127 trained-length: rows against the model's window."""

import json

import pytest

LONG = {"text": "one two three four five six seven eight nine ten " * 40}  # some 400 tokens


@pytest.fixture
def windowed(project, model):
    """Give the model another type and window in its config.json, and rows of some 400 tokens."""

    def make(kind, window, max_length=512, **changes):
        path = model / "config.json"
        settings = json.loads(path.read_text()) | {"model_type": kind, "max_position_embeddings": window} | changes
        path.write_text(json.dumps(settings))
        project.rows([LONG] * 8)
        project.rows([LONG] * 2, "validation.jsonl")
        project.set(training={"assistant_only_loss": False, "max_length": max_length})

    return make


@pytest.mark.parametrize(
    ("window", "max_length", "outcome"), [(2048, 512, "passed"), (128, 512, "failed"), (128, 128, "passed")]
)
def test_a_table_of_positions_ends(expect, windowed, window, max_length, outcome):
    windowed("opt", window, max_length)

    findings = expect("CFG-126", outcome)

    assert all("training.max_length: 128" in finding["fix"] for finding in findings)


@pytest.mark.parametrize(
    ("window", "max_length", "outcome"), [(2048, 512, "passed"), (128, 512, "warned"), (128, 128, "passed")]
)
def test_rotary_positions_were_trained_to_a_length(expect, windowed, window, max_length, outcome):
    windowed("llama", window, max_length)

    expect("CFG-127", outcome)


def test_each_kind_has_its_own_check(project, windowed):
    windowed("llama", 2048)
    run = project.gate("-k", "CFG-126 or CFG-127")

    assert run.outcome("CFG-126") == "not-applicable"
    assert run.outcome("CFG-127") == "passed"

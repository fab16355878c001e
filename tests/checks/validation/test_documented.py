"""POST-106: a run card that is missing, damaged, incomplete, or another run's."""

import json

import pytest

from preflight.config import load_config


@pytest.fixture
def card(flown):
    """Edit the run card that the trainer wrote, and judge it."""
    path = flown.folder / "run" / "run-card.json"

    def judged(edit):
        value = json.loads(path.read_text())
        edit(value)
        path.write_text(json.dumps(value))
        return flown.gate("-k", "POST-106", stage="postflight")

    return judged


def test_the_trainers_own_card(flown):
    run = flown.gate("-k", "POST-106", stage="postflight")

    assert run.outcome("POST-106") == "passed", run.screen


def test_no_card(flown):
    (flown.folder / "run" / "run-card.json").unlink()

    run = flown.gate("-k", "POST-106", stage="postflight")

    assert run.outcome("POST-106") == "not-available"
    assert "preflight train config.yaml" in run.check("POST-106")["reason"]


@pytest.mark.parametrize("text", ["", '{"config": ', "[1, 2]", "7", "null"])
def test_a_card_that_is_no_card(flown, text):
    (flown.folder / "run" / "run-card.json").write_text(text)

    run = flown.gate("-k", "POST-106", stage="postflight")

    assert run.outcome("POST-106") == "failed", run.screen
    assert "not a JSON object" in run.findings("POST-106")[0]["message"]
    assert run.findings("POST-106")[0]["where"].endswith("run-card.json")


@pytest.mark.parametrize("key", ["config", "clearance", "versions", "seed", "git", "loss", "started", "finished"])
@pytest.mark.parametrize("value", [None, "gone"], ids=["null", "gone"])
def test_a_card_that_lacks_something(card, key, value):
    run = card(lambda found: found.pop(key) if value else found.update({key: value}))

    assert run.outcome("POST-106") == "failed", run.screen
    assert [finding["message"] for finding in run.findings("POST-106")] == [f"the run card lacks {key}"]


@pytest.mark.parametrize(
    "section, key, value",
    [
        pytest.param("lora", "r", 8, id="another rank"),
        pytest.param("training", "learning_rate", 0.0003, id="another rate"),
        pytest.param("model", "revision", "main", id="another model"),
        pytest.param("data", "format", "messages", id="other data"),
    ],
)
def test_a_card_of_another_config(flown, card, section, key, value):
    run = card(lambda found: found["config"][section].update({key: value}))

    (finding,) = run.findings("POST-106")
    assert run.outcome("POST-106") == "failed"
    assert finding["message"] == f"the model was trained with another {section} section"
    assert finding["where"] == load_config(flown.folder / "config.yaml").where(section)
    assert finding["expected"] == f"{key}: {json.dumps(value)}"
    assert key in finding["observed"] or finding["observed"] == "not set"


def test_quantization_that_the_run_did_not_have(flown):
    flown.set(quantization={"load_in_4bit": True})

    (finding,) = flown.gate("-k", "POST-106", stage="postflight").findings("POST-106")

    assert (finding["observed"], finding["expected"]) == ('{"load_in_4bit": true}', "null")


def test_gate_and_evaluation_may_differ(flown):
    """They decide how a model is judged, not what it is."""
    flown.set(gate={"severity": {"CFG-104": "advice"}}, evaluation={"max_examples": 8}, task={"complexity": "simple"})

    run = flown.gate("-k", "POST-106", stage="postflight")

    assert run.outcome("POST-106") == "passed", run.screen

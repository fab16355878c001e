"""CFG-105: the learning rate, on both sides of every boundary, for an adapter and for full fine-tuning."""

import pytest

from preflight.config import load_config

ADAPTER, FULL = "Set training.learning_rate: 2.0e-04.", "Set training.learning_rate: 2.0e-05."


@pytest.mark.parametrize(
    "rate, word",
    [
        pytest.param(9.9e-5, "too low", id="just below"),
        pytest.param(0.0, "too low", id="zero"),
        pytest.param(5.1e-4, "too high", id="just above"),
        pytest.param(2e4, "too high", id="a lost minus sign"),
        pytest.param(None, "too low", id="TRL's default of 2e-5"),
    ],
)
def test_out_of_range(project, expect, rate, word):
    project.set(training={"learning_rate": rate})
    if rate is None:
        del project.config["training"]["learning_rate"]

    (finding,) = expect("CFG-105", "failed")

    assert word in finding["message"]
    assert finding["observed"] == (f"{rate:g}" if rate is not None else "2e-05 (TRL's default)")
    assert finding["expected"] == "0.0001 to 0.0005"
    assert finding["where"] == load_config(project.folder / "config.yaml").where("training.learning_rate")
    assert finding["fix"] == ADAPTER


@pytest.mark.parametrize("rate", [1e-4, 2e-4, 5e-4])
def test_in_range(project, expect, rate):
    project.set(training={"learning_rate": rate})

    assert expect("CFG-105", "passed") == []


@pytest.mark.parametrize(
    "rate, outcome",
    [
        pytest.param(9e-7, "failed", id="just below"),
        pytest.param(1e-6, "passed", id="the lowest"),
        pytest.param(None, "passed", id="TRL's default of 2e-5"),
        pytest.param(1e-4, "passed", id="the highest"),
        pytest.param(2e-4, "failed", id="an adapter's rate"),
    ],
)
def test_full_fine_tuning_has_its_own_range(project, expect, rate, outcome):
    project.set(lora=None, training={"learning_rate": rate})
    if rate is None:
        del project.config["training"]["learning_rate"]

    assert [finding["fix"] for finding in expect("CFG-105", outcome)] == ([FULL] if outcome == "failed" else [])


@pytest.mark.parametrize(
    "lora, rate, thresholds, outcome",
    [
        pytest.param({}, 5e-5, {"low": 3e-5}, "passed", id="lowered for an adapter"),
        pytest.param({}, 2e-5, {"low": 3e-5}, "failed", id="below the lowered one"),
        pytest.param({}, 1e-3, {"high": 1e-3}, "passed", id="raised for an adapter"),
        pytest.param({}, 5e-5, {"full_low": 1e-5}, "failed", id="full fine-tuning's limit is not the adapter's"),
        pytest.param(None, 2e-4, {"full_high": 3e-4}, "passed", id="raised for full fine-tuning"),
        pytest.param(None, 2e-4, {"high": 3e-4}, "failed", id="the adapter's limit is not full fine-tuning's"),
    ],
)
def test_thresholds(project, expect, lora, rate, thresholds, outcome):
    project.set(lora=lora, training={"learning_rate": rate}, gate={"thresholds": {"CFG-105": thresholds}})

    expect("CFG-105", outcome)


def test_lowered_to_recommended_it_warns_and_strict_makes_it_block_again(project):
    project.set(training={"learning_rate": 1.0}, gate={"severity": {"CFG-105": "recommended"}})

    loose, strict = project.gate("-k", "CFG-105"), project.gate("-k", "CFG-105", "--preflight-strict")

    assert (loose.outcome("CFG-105"), loose.code) == ("warned", 0)
    assert (strict.outcome("CFG-105"), strict.code) == ("failed", 1)

"""POST-121: whether training changed what the model says."""

import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from preflight.evaluation.effect import effect_on
from preflight.evaluation.trained import Trained

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def scaled(flown):
    """Judge the run's adapter with its B matrices so many times as large."""

    def judged(factor):
        path = flown.folder / "run" / WEIGHTS
        held = {name: value * (factor if "lora_B" in name else 1) for name, value in load_file(path).items()}
        save_file(held, path, metadata={"format": "pt"})
        return flown.gate("-k", "POST-121", stage="postflight")

    return judged


@pytest.mark.parametrize(
    "factor, outcome",
    [
        pytest.param(1.0, "passed", id="as it was trained"),
        pytest.param(0.0, "failed", id="a fresh adapter"),
        pytest.param(1e-6, "failed", id="almost nothing"),
        pytest.param(float("nan"), "failed", id="NaN"),
    ],
)
def test_the_effect_of_an_adapter(scaled, factor, outcome):
    run = scaled(factor)

    assert run.outcome("POST-121") == outcome, run.screen
    for finding in run.findings("POST-121"):
        assert ("no numbers" if math.isnan(factor) else "says what its base says") in finding["message"]
        assert finding["expected"] == "more than 0.001"


def test_without_held_out_data_training_rows_are_asked(flown):
    del flown.config["data"]["validation"]

    run = flown.gate("-k", "POST-121", stage="postflight")

    assert run.outcome("POST-121") == "passed", run.screen
    assert run.check("POST-121")["evidence"]["prompts"] == 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_an_adapter_of_zeros_changes_nothing_in_any_width(tiny, dtype):
    """What the threshold rests on: exactly nothing, and not a little because of rounding."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny, dtype=dtype)
    model = get_peft_model(base, LoraConfig(r=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")).eval()

    assert effect_on(Trained(model, None), [[5, 6, 7, 8], [9, 10], []]) == (0.0, 0.0, 0.0)

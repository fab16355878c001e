"""CFG-142: names that are in the vision or audio tower too, and those that are kept out of it."""

import pytest

from preflight.checks.method.towers import text_trains_the_language_model_alone as check


@pytest.mark.parametrize(
    "model, targets, observed",
    [
        ("gemma3", ["q_proj", "v_proj"], "vision x4"),
        ("gemma3", "all-linear", "vision x"),
        ("llava", ["q_proj"], "vision x2"),
        ("llava", "all-linear", "vision x12, projector x2"),
        ("qwen2_vl", "all-linear", "vision x"),
        ("qwen2_audio", ["q_proj"], "audio x2"),
    ],
)
def test_a_tower_is_hit_and_the_fix_leaves_it_out(find, model, targets, observed):
    (finding,) = find(check, model, lora={"target_modules": targets})

    assert finding.observed.startswith(observed)
    pattern = finding.fix.split("'")[1]
    assert find(check, model, lora={"target_modules": targets, "exclude_modules": pattern}) == []


@pytest.mark.parametrize(
    "model, lora",
    [
        pytest.param("qwen2_vl", {"target_modules": ["q_proj", "v_proj"]}, id="the tower has other names"),
        pytest.param(
            "gemma3", {"target_modules": r".*language_model\..*\.q_proj"}, id="a regex for the language model"
        ),
        pytest.param("llava", {"target_modules": ["q_proj"], "exclude_modules": ".*vision_tower.*"}, id="left out"),
    ],
)
def test_the_language_model_alone(find, model, lora):
    assert find(check, model, lora=lora) == []


@pytest.mark.parametrize("model", ["llama", "qwen3_moe", "gpt2"])
def test_models_for_text(find, model):
    assert find(check, model, lora={"target_modules": "all-linear"}) is None

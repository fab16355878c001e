"""CFG-146: patterns and layers that mean nothing on the model, and those that do."""

import pytest

from preflight.checks.method.patterns import every_pattern_of_the_adapter_matches as check

TARGETS = {"target_modules": ["q_proj", "v_proj"]}


@pytest.mark.parametrize(
    "lora, observed",
    [
        ({"rank_pattern": {"k_proj": 4}}, "k_proj"),
        ({"rank_pattern": {"q_proj": 4, "layers.9.self_attn.q_proj": 2}}, "layers.9.self_attn.q_proj"),
        ({"alpha_pattern": {"^model.layers.0.q_proj": 4}}, "^model.layers.0.q_proj"),
        ({"layers_to_transform": [2, 3, 4]}, "4"),
        ({"exclude_modules": ["vision_tower"]}, "vision_tower"),
        ({"exclude_modules": "visual.*"}, "visual.*"),
    ],
)
def test_a_dead_entry(find, lora, observed):
    (finding,) = find(check, lora=TARGETS | lora)

    assert finding.observed == observed
    assert finding.fix == f"Correct {observed}, or remove it."


def test_the_last_layer_is_named(find):
    assert find(check, lora=TARGETS | {"layers_to_transform": [3, 4]})[0].expected == "0 to 3"


@pytest.mark.parametrize(
    "model, lora",
    [
        ("llama", {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {r".*\.0\..*v_proj": 8}}),
        ("llama", {"layers_to_transform": [0, 3]}),
        ("llama", {"layers_to_transform": 3}),
        ("llama", {"exclude_modules": ["layers.0.self_attn.q_proj"]}),
        ("gemma3", {"exclude_modules": r"model\.vision_tower.*"}),
        ("gpt_oss", {"target_parameters": ["experts.down_proj"], "rank_pattern": {"experts.down_proj": 4}}),
    ],
)
def test_live_entries(find, model, lora):
    assert find(check, model, lora=TARGETS | lora) == []


def test_no_patterns(find):
    assert find(check, lora=TARGETS | {"rank_pattern": {}}) is None


def test_peft_ignores_what_we_report(find, recwarn):
    find(check, lora=TARGETS | {"rank_pattern": {"k_proj": 4}})

    assert any("rank_pattern keys did not match" in str(warning.message) for warning in recwarn)

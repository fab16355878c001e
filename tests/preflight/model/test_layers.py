"""Towers and roles, on the module trees of real architectures."""

from collections import defaultdict

import pytest
import torch

from preflight.model.build import auto_class
from preflight.model.layers import layers_of
from tests.zoo import settings_of


def tree(name):
    """The last parts of names by tower and role."""
    settings = settings_of(name)
    with torch.device("meta"):
        model = auto_class(settings).from_config(settings)
    found = defaultdict(dict)
    for layer in layers_of(model):
        found[layer.tower, layer.role].setdefault(layer.leaf, 0)
        found[layer.tower, layer.role][layer.leaf] += 1
    return dict(found)


def each(names, count=4):
    return dict.fromkeys(names.split(), count)


@pytest.mark.parametrize(
    "name, attention, mlp",
    [
        ("llama", "q_proj k_proj v_proj o_proj", "gate_proj up_proj down_proj"),
        ("qwen3", "q_proj k_proj v_proj o_proj", "gate_proj up_proj down_proj"),
        ("gemma2", "q_proj k_proj v_proj o_proj", "gate_proj up_proj down_proj"),
        ("phi3", "o_proj qkv_proj", "gate_up_proj down_proj"),
        ("opt", "q_proj k_proj v_proj out_proj", "fc1 fc2"),
        ("gpt_neox", "query_key_value dense", "dense_h_to_4h dense_4h_to_h"),
        ("falcon", "query_key_value dense", "dense_h_to_4h dense_4h_to_h"),
        ("gpt2", "c_attn c_proj", "c_fc c_proj"),
    ],
)
def test_dense_models(name, attention, mlp):
    found = tree(name)

    assert found["language", "attention"] == each(attention)
    assert found["language", "mlp"] == each(mlp)
    assert sum(found["language", "embedding"].values()) == sum(found["language", "head"].values()) == 1
    assert {tower for tower, _ in found} == {"language"}


@pytest.mark.parametrize(
    "name, router", [("mixtral", "weight"), ("qwen3_moe", "weight"), ("gpt_oss", "weight"), ("llama4_text", "router")]
)
def test_fused_experts_and_their_router(name, router):
    found = tree(name)

    assert found["language", "expert"] == each("gate_up_proj down_proj")
    assert found["language", "router"] == each(router)


def test_a_shared_expert_is_an_mlp_and_its_switch_is_none():
    found = tree("qwen2_moe")

    assert found["language", "mlp"] == each("gate_proj up_proj down_proj")
    assert found["language", "other"] == each("shared_expert_gate")


def test_a_hybrid_model_has_attention_of_two_kinds():
    found = tree("qwen3_next")["language", "attention"]

    assert (found["q_proj"], found["in_proj_qkvz"]) == (1, 3)


def test_a_model_without_attention():
    assert not {role for _, role in tree("mamba")} & {"attention", "mlp", "expert"}


@pytest.mark.parametrize(
    "name, tower, in_tower, projector",
    [
        ("gemma3", "vision", "q_proj", None),
        ("llava", "vision", "q_proj", "linear_1"),
        ("qwen2_vl", "vision", "qkv", None),
        ("qwen2_audio", "audio", "q_proj", "linear"),
    ],
)
def test_towers(name, tower, in_tower, projector):
    found = tree(name)

    assert found[tower, "attention"][in_tower] == 2
    assert found["language", "attention"] == each("q_proj k_proj v_proj o_proj")
    assert found["language", "mlp"] == each("gate_proj up_proj down_proj")
    assert {role for place, role in found if place == "language"} == {"attention", "mlp", "embedding", "head"}
    assert ("projector" in {place for place, _ in found}) == (projector is not None)
    assert projector is None or found["projector", "other"][projector] == 1

"""CFG-140: a pattern that hits some layers of a kind, among those that hit all, and hybrid models."""

import pytest

from preflight.checks.method.all_layers import the_adapter_is_in_all_layers_of_a_kind as check

ATTENTION = "q_proj x4, k_proj x4, v_proj x4, o_proj x4"


@pytest.mark.parametrize(
    "targets, some",
    [
        pytest.param(r".*layers\.1\..*q_proj", 1, id="a regex with a number"),
        pytest.param(r"model\.layers\.[01]\..*\.q_proj", 2, id="a regex with two numbers"),
        pytest.param(["layers.3.self_attn.q_proj"], 1, id="an end of a name with a number"),
        pytest.param(["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj"], 2, id="whole names"),
    ],
)
def test_some_layers_only(find, targets, some):
    (finding,) = find(check, lora={"target_modules": targets})

    assert finding.message == f"model.layers.*.self_attn.q_proj has an adapter in {some} of 4 layers"
    assert (finding.observed, finding.expected) == (str(some), "4")


def test_each_kind_of_module_is_one_finding(find):
    assert len(find(check, lora={"target_modules": r".*layers\.2\..*(q_proj|v_proj|up_proj)"})) == 3


@pytest.mark.parametrize(
    "model, lora",
    [
        pytest.param("llama", {"target_modules": ["q_proj", "v_proj"]}, id="names"),
        pytest.param("llama", {"target_modules": "all-linear"}, id="all-linear"),
        pytest.param("llama", {"target_modules": r".*\.(q|v)_proj"}, id="a regex for all"),
        pytest.param(
            "llama", {"target_modules": ["q_proj"], "layers_to_transform": [1, 2]}, id="layers that are asked"
        ),
        pytest.param("llama", {"target_modules": "all-linear", "exclude_modules": r".*layers\.0\..*"}, id="left out"),
        pytest.param("llama", {}, id="chosen by peft"),
        pytest.param(
            "qwen3_next", {"target_modules": ["q_proj", "v_proj"]}, id="a hybrid has it in one of four layers"
        ),
        pytest.param("qwen3_next", {"target_modules": "all-linear"}, id="all of a hybrid"),
        pytest.param("gpt2", {"target_modules": ["c_attn"]}, id="GPT-2"),
        pytest.param("gpt_neox", {"target_modules": ["query_key_value"]}, id="GPT-NeoX"),
        pytest.param("phi3", {"target_modules": ["qkv_proj", "gate_up_proj"]}, id="Phi-3"),
        pytest.param("mixtral", {"target_modules": ["q_proj", "w1", "w2", "w3"]}, id="fused experts"),
        pytest.param("gemma3", {"target_modules": ["q_proj", "v_proj"]}, id="two towers"),
        pytest.param("gemma3", {"target_modules": r".*language_model.*q_proj"}, id="one tower of two"),
    ],
)
def test_all_layers(find, model, lora):
    assert find(check, model, lora=lora) == []


def test_the_counts_are_evidence(find, seen):
    find(check, lora={"r": 8, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]})

    assert seen.summary.startswith(f"{ATTENTION}; ")
    assert seen["modules"]["q_proj"] == 4


def test_what_cannot_be_attached_is_another_checks(find):
    assert find(check, lora={"target_modules": ["nothing"]}) is None
    assert find(check, lora=None) is None


def test_in_a_gate_run(project, expect):
    project.set(lora={"target_modules": r".*layers\.1\..*q_proj"})

    assert expect("CFG-140", "warned")[0]["fix"].startswith("Name it q_proj")

"""CFG-143, CFG-144: experts that no name of a module reaches, and routers that all-linear does."""

import pytest

from preflight.checks.method.experts import mlp_names_reach_the_experts, the_router_stays_as_it_is

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
STACKS = ["experts.gate_up_proj", "experts.down_proj"]


@pytest.mark.parametrize(
    "model, targets",
    [
        pytest.param("gpt_oss", "all-linear", id="all-linear, and all experts are parameters"),
        pytest.param("llama4_text", [*ATTENTION, "up_proj"], id="only the shared expert has the name"),
        pytest.param("llama4_text", "all-linear", id="all-linear with a shared expert"),
        pytest.param("qwen2_moe", ["gate_proj", "up_proj", "down_proj"], id="names that peft does not know there"),
    ],
)
def test_experts_that_are_not_reached(find, model, targets):
    (finding,) = find(mlp_names_reach_the_experts, model, lora={"target_modules": targets})

    assert "no expert has an adapter" in finding.message
    assert "lora.target_parameters: [experts.down_proj, experts.gate_up_proj]" in finding.fix


@pytest.mark.parametrize(
    "model, lora",
    [
        pytest.param("gpt_oss", {"target_modules": ATTENTION}, id="attention alone is a choice"),
        pytest.param("gpt_oss", {"target_modules": ATTENTION, "target_parameters": STACKS}, id="by parameters"),
        pytest.param("llama4_text", {"target_modules": "all-linear", "target_parameters": STACKS}, id="both"),
        pytest.param(
            "mixtral", {"target_modules": [*ATTENTION, "w1", "w2", "w3"]}, id="former names, which peft knows"
        ),
        pytest.param("qwen3_moe", {"target_modules": "all-linear"}, id="all-linear, where peft knows the names"),
    ],
)
def test_experts_that_are_reached_or_not_meant(find, model, lora):
    assert find(mlp_names_reach_the_experts, model, lora=lora) == []


@pytest.mark.parametrize("check", [mlp_names_reach_the_experts, the_router_stays_as_it_is])
def test_dense_models(find, check):
    assert find(check, "llama", lora={"target_modules": "all-linear"}) is None


@pytest.mark.parametrize("model", ["qwen3_moe", "mixtral", "llama4_text"])
def test_all_linear_takes_the_router(find, model):
    (finding,) = find(the_router_stays_as_it_is, model, lora={"target_modules": "all-linear"})

    assert finding.message == "4 routers would be trained"
    assert finding.fix.startswith("Set lora.target_modules: [")
    assert {"k_proj", "o_proj", "q_proj", "v_proj"} <= set(finding.fix.partition("[")[2].partition("]")[0].split(", "))


@pytest.mark.parametrize("targets", [ATTENTION, [*ATTENTION, "gate_proj", "up_proj", "down_proj"]])
def test_names_leave_the_router_alone(find, targets):
    assert find(the_router_stays_as_it_is, "qwen3_moe", lora={"target_modules": targets}) == []

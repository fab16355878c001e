"""CFG-141: a complex task on attention alone, by the names of each architecture; less for simpler tasks."""

import pytest

from preflight.checks.method.task_targets import a_complex_task_has_adapters_on_attention_and_mlp as check

COMPLEX = {"task": {"type": "reasoning", "complexity": "complex"}}


@pytest.mark.parametrize(
    "model, targets, fix",
    [
        ("llama", ["q_proj", "v_proj"], "Add down_proj, gate_proj, up_proj to lora.target_modules."),
        ("gpt2", ["c_attn"], "Add c_fc, c_proj to lora.target_modules."),
        ("phi3", ["qkv_proj", "o_proj"], "Add down_proj, gate_up_proj to lora.target_modules."),
        ("falcon", ["query_key_value"], "Add dense_4h_to_h, dense_h_to_4h to lora.target_modules."),
        (
            "gpt_oss",
            ["q_proj", "o_proj"],
            "Set lora.target_parameters: [experts.down_proj, experts.gate_up_proj] and lora.lora_dropout: 0.",
        ),
    ],
)
def test_a_complex_task_without_mlp(find, model, targets, fix):
    (finding,) = find(check, model, lora={"target_modules": targets}, **COMPLEX)

    assert finding.message == "a complex task, and no adapter on the MLP layers"
    assert finding.fix == fix


def test_the_fix_works(find):
    stacks = ["experts.down_proj", "experts.gate_up_proj"]

    assert find(check, "gpt_oss", lora={"target_modules": ["q_proj"], "target_parameters": stacks}, **COMPLEX) == []


def test_a_complex_task_without_attention(find):
    assert "attention" in find(check, lora={"target_modules": ["up_proj"]}, **COMPLEX)[0].message


@pytest.mark.parametrize(
    "model, targets, complexity",
    [
        ("llama", "all-linear", "complex"),
        ("llama", ["q_proj", "up_proj"], "complex"),
        ("gpt2", ["c_attn", "c_fc"], "complex"),
        ("gpt2", ["c_attn", "c_proj"], "complex"),
        ("mixtral", ["q_proj", "w1", "w2", "w3"], "complex"),
        ("qwen2_moe", "all-linear", "complex"),
        ("llama", ["q_proj", "v_proj"], "simple"),
        ("llama", ["q_proj", "k_proj", "v_proj", "o_proj"], "standard"),
        ("llama", ["up_proj"], "standard"),
        ("llama", "all-linear", "simple"),
    ],
)
def test_enough(find, model, targets, complexity):
    assert find(check, model, lora={"target_modules": targets}, task={"complexity": complexity}) == []


def test_a_model_of_another_kind_is_not_judged(find):
    assert find(check, "mamba", lora={"target_modules": ["x_proj"]}, **COMPLEX) is None


def test_in_a_gate_run(project, expect):
    project.set(**COMPLEX)

    assert expect("CFG-141", "warned")[0]["expected"] == "gate_proj, up_proj, down_proj"

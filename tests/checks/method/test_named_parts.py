"""CFG-145: modules, parameters and tokens that peft would leave out without a word."""

import pytest

from preflight.checks.method.named_parts import everything_that_the_adapter_names_exists as check

TARGETS = {"target_modules": ["q_proj"]}


@pytest.mark.parametrize(
    "model, lora, observed, fix",
    [
        ("llama", {"modules_to_save": ["lm_haed"]}, "lm_haed", "Replace lm_haed by lm_head."),
        ("llama", {"modules_to_save": ["embed_tokens", "wte"]}, "wte", "Remove wte, or use a name that the model has."),
        ("gpt2", {"modules_to_save": ["embed_tokens"], "target_modules": ["c_attn"]}, "embed_tokens", "Remove"),
        (
            "gpt_oss",
            {"target_parameters": ["mlp.experts.gate_up"]},
            "mlp.experts.gate_up",
            "Replace mlp.experts.gate_up by experts.gate_up_proj.",
        ),
        ("llama", {"trainable_token_indices": [5, 128, 500]}, "128, 500", "Remove these ids"),
        ("llama", {"trainable_token_indices": {"embed_tokens": [128]}}, "128", "Remove these ids"),
    ],
)
def test_what_is_not_there(find, model, lora, observed, fix):
    (finding,) = find(check, model, lora=TARGETS | lora)

    assert finding.observed == observed
    assert finding.fix.startswith(fix)


@pytest.mark.parametrize(
    "model, lora",
    [
        pytest.param("llama", {"modules_to_save": ["lm_head", "embed_tokens"]}, id="both embeddings"),
        pytest.param("llama", {"modules_to_save": ["model.norm"]}, id="a dotted name"),
        pytest.param("gpt_oss", {"target_parameters": ["mlp.experts.gate_up_proj"]}, id="a parameter"),
        pytest.param("llama", {"trainable_token_indices": [0, 127]}, id="the first and the last token"),
    ],
)
def test_what_is_there(find, model, lora):
    assert find(check, model, lora=TARGETS | lora) == []


@pytest.mark.parametrize("lora", [TARGETS, None])
def test_nothing_is_named(find, lora):
    assert find(check, lora=lora) is None


def test_in_a_gate_run(project, expect):
    project.set(lora={"modules_to_save": ["embed_token"]})

    assert expect("CFG-145", "failed")[0]["fix"] == "Replace embed_token by embed_tokens."

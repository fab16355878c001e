"""CFG-147, CFG-148: adapters on and copies of an embedding that is tied to the output layer."""

import pytest

from preflight.checks.method.tied_embeddings import no_adapter_on_a_tied_embedding_is_merged as merges
from preflight.checks.method.tied_embeddings import tied_weights_are_trained_as_one as together

EMBEDDING = {"target_modules": ["q_proj", "embed_tokens"]}
COPY = {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]}


@pytest.mark.parametrize("deployment", [{"merge": True}, {"scenario": "single-adapter"}])
def test_an_adapter_on_a_tied_embedding_is_not_merged(find, deployment):
    (finding,) = find(merges, "qwen3", lora=EMBEDDING, deployment=deployment)

    assert finding.fix.endswith("set lora.modules_to_save: [embed_tokens] and lora.ensure_weight_tying: true.")
    assert find(together, "qwen3", lora=EMBEDDING, deployment=deployment) == []  # once is enough


@pytest.mark.parametrize(
    "lora, deployment",
    [
        (EMBEDDING, {"scenario": "several-adapters"}),
        (EMBEDDING, {"scenario": "single-adapter", "merge": False}),
        (COPY, {"merge": True}),
        ({"target_modules": "all-linear"}, {"merge": True}),
    ],
)
def test_merges_that_are_sound(find, lora, deployment):
    assert find(merges, "qwen3", lora=lora, deployment=deployment) == []


@pytest.mark.parametrize(
    "lora, where",
    [
        (COPY, "modules_to_save"),
        (COPY | {"modules_to_save": ["lm_head"]}, "modules_to_save"),
        (EMBEDDING, "target_modules"),
    ],
)
def test_weights_that_part(find, lora, where):
    (finding,) = find(together, "qwen3", lora=lora)

    assert finding.observed.startswith(f"lora.{where}: ")
    assert "lora.ensure_weight_tying: true" in finding.fix


@pytest.mark.parametrize(
    "lora",
    [
        COPY | {"ensure_weight_tying": True},
        {"target_modules": "all-linear"},
        {"target_modules": ["q_proj"], "modules_to_save": ["norm"]},
    ],
)
def test_weights_that_stay_together(find, lora):
    assert find(together, "qwen3", lora=lora) == []


@pytest.mark.parametrize("check", [merges, together])
@pytest.mark.parametrize("lora", [EMBEDDING, COPY])
def test_an_untied_model(find, check, lora):
    assert find(check, "llama", lora=lora, deployment={"merge": True}) is None


def test_merging_changes_the_output_layer_as_we_say(tiny):
    """If peft learns to merge it, CFG-147 must go."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    settings = LoraConfig(task_type="CAUSAL_LM", target_modules=["embed_tokens"], init_lora_weights=False)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny), settings).eval()
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        trained = model(ids).logits
        assert not torch.allclose(model.merge_and_unload()(ids).logits, trained, atol=1e-3)

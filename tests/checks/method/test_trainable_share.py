"""CFG-149: next to nothing, and copies of large parts; usual adapters between them."""

import pytest

from preflight.checks.method.trainable_share import the_adapter_trains_a_sensible_share as check

LARGE = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "vocab_size": 32000}
HEADS = {"num_attention_heads": 32, "num_key_value_heads": 32, "head_dim": 128}
SEVENB = LARGE | HEADS
SEVENTYB = SEVENB | {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80}
SEVENTYB |= {"num_attention_heads": 64, "num_key_value_heads": 8}
SMALL = SEVENB | {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "vocab_size": 151936}
SMALL |= {"num_attention_heads": 14, "num_key_value_heads": 2, "head_dim": 64}
QV = {"r": 8, "target_modules": ["q_proj", "v_proj"]}


@pytest.mark.parametrize(
    "changes, lora",
    [
        (SEVENB, {"r": 1, "target_modules": ["v_proj"], "layers_to_transform": [31]}),
        (SEVENB, {"r": 8, "target_modules": ["layers.1.self_attn.q_proj"]}),
    ],
)
def test_next_to_nothing(find, changes, lora):
    (finding,) = find(check, "llama", changes, lora=lora)

    assert finding.expected == "0.01% or more"


def test_a_copy_of_most_of_the_model_is_told_in_bytes(find):
    lora = QV | {"modules_to_save": ["embed_tokens", "lm_head"]}

    (finding,) = find(check, "llama", SMALL, lora=lora)

    assert finding.observed == "272,269,312 parameters, 1 GiB"
    assert "trainable_token_indices" in finding.fix


def test_single_tokens_are_no_way_out_if_the_embedding_is_tied(find):
    lora = QV | {"modules_to_save": ["embed_tokens"]}

    (finding,) = find(check, "llama", SMALL | {"tie_word_embeddings": True}, lora=lora)

    assert "trainable_token_indices" not in finding.fix


@pytest.mark.parametrize(
    "model, changes, lora",
    [
        pytest.param("llama", SEVENB, QV, id="7B, the smallest adapter of the checklist"),
        pytest.param("llama", SEVENTYB, QV, id="70B, the smallest adapter of the checklist"),
        pytest.param("llama", SEVENB, {"r": 256, "target_modules": "all-linear"}, id="7B, the highest rank"),
        pytest.param("llama", SMALL, {"r": 128, "target_modules": "all-linear"}, id="0.5B, a high rank"),
        pytest.param("llama", SEVENB, QV | {"modules_to_save": ["embed_tokens", "lm_head"]}, id="7B with embeddings"),
        pytest.param("qwen3_moe", {"num_experts": 128}, {"r": 8, "target_modules": ["q_proj"]}, id="128 experts"),
    ],
)
def test_usual_adapters(find, model, changes, lora):
    assert find(check, model, changes, lora=lora) == []


def test_the_limits_are_the_users(find):
    lora = QV | {"modules_to_save": ["embed_tokens"]}

    assert find(check, "llama", SMALL, lora=lora, thresholds={"max_copied": 0.9}) == []

"""Which rows of the embedding were never trained, and which a run trains."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from preflight.model import embeddings
from preflight.model.embeddings import trains, untrained

TOKENS, WIDTH = 2000, 48
RESERVED = range(10)


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """What is found in a model whose rows are these: of different lengths, and with a direction that all share."""
    monkeypatch.setattr(embeddings.files, "weight_files", lambda config: sorted(tmp_path.glob("*.safetensors")))

    def judge(row=None, lengths=True, dtype=torch.float32):
        torch.manual_seed(0)
        weight = torch.randn(TOKENS, WIDTH)
        if lengths:
            weight = weight * torch.rand(TOKENS, 1).add(0.5) + 0.5
        if row:
            weight[3] = row(weight)
        others = {"model.norm.weight": torch.ones(TOKENS), "model.up.weight": torch.ones(WIDTH, TOKENS)}
        save_file({"model.embed_tokens.weight": weight.to(dtype), **others}, tmp_path / "model.safetensors")
        found = untrained(None, TOKENS, [3, 4, TOKENS + 5], RESERVED)
        return {token: [f"{row.tensor}: {row.reason}" for row in rows] for token, rows in found.items()}

    return judge


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "row, reason",
    [
        (lambda weight: torch.zeros(WIDTH), "its length is 0% of the usual one"),
        (lambda weight: weight[9] / 10, "its length is"),
        (lambda weight: weight.mean(0), "it is the mean of all rows"),
        (lambda weight: weight[5], "it is the same as that of 1 reserved token"),
    ],
    ids=["zero", "small", "mean", "the same as another"],
)
def test_untrained_rows_are_found(rows, row, reason, dtype):
    found = rows(row, dtype=dtype)

    assert list(found) == [3]
    assert found[3][0].startswith(f"embed_tokens: {reason}")


@pytest.mark.parametrize(
    "row, lengths",
    [
        (None, True),
        (lambda weight: weight[100], True),
        (lambda weight: weight[9] / 3, True),
        (lambda weight: torch.zeros(WIDTH), False),
    ],
    ids=["trained", "the same as a word", "shorter than most", "a zero in a model that is random"],
)
def test_other_rows_are_not(rows, row, lengths):
    assert rows(row, lengths) == {}


def test_a_damaged_file_is_another_checks_business(rows, tmp_path):
    (tmp_path / "model-2.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")

    assert rows() == {}


def config(**lora):
    return SimpleNamespace(lora=lora, lora_value=lora.get)


@pytest.mark.parametrize(
    "lora, layer, expected",
    [
        ({}, "lm_head", False),
        ({"target_modules": ["q_proj"]}, "lm_head", False),
        ({"target_modules": "all-linear"}, "lm_head", False),
        ({"target_modules": ["q_proj", "lm_head"]}, "lm_head", True),
        ({"target_modules": ["model.embed_tokens"]}, "embed_tokens", True),
        ({"modules_to_save": ["lm_head"]}, "lm_head", True),
        ({"modules_to_save": ["lm_head"]}, "embed_tokens", False),
        ({"trainable_token_indices": [3, 7]}, "embed_tokens", True),
        ({"trainable_token_indices": {"embed_tokens": [7]}}, "embed_tokens", True),
        ({"trainable_token_indices": {"embed_tokens": [7]}}, "lm_head", False),
        ({"trainable_token_indices": {"model.embed_tokens": [7]}}, "embed_tokens", True),
        ({"trainable_token_indices": [3, 7]}, "lm_head", False),
        ({"trainable_token_indices": [3]}, "embed_tokens", False),
    ],
)
def test_what_an_adapter_trains(lora, layer, expected):
    assert trains(config(**lora), 7, layer, "lm_head") is expected


def test_a_list_of_tokens_is_for_both_where_they_are_one():
    assert trains(config(trainable_token_indices=[7]), 7, "embed_tokens", None)


def test_full_fine_tuning_trains_every_row():
    assert trains(SimpleNamespace(lora=None), 7, "lm_head", "lm_head")

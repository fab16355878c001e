"""Log-probabilities and fingerprints: what a rehearsal measures by."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from preflight.rehearsal import score
from preflight.rehearsal.watch import prints

PLAIN = SimpleNamespace(bf16=False, fp16=False, device=torch.device("cpu"))
LONG = {"input_ids": [5, 6, 7, 8, 9, 10, 11], "labels": [-100, -100, -100, 8, 9, 10, 11]}
SHORT = {"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}


@pytest.fixture(scope="module")
def loaded(tiny):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)


def padded(left):
    """Both rows, the short one padded, as a collator would."""
    fill = [0] * 4
    ids = [*fill, *SHORT["input_ids"]] if left else [*SHORT["input_ids"], *fill]
    mask = [0, 0, 0, 0, 1, 1, 1] if left else [1, 1, 1, 0, 0, 0, 0]
    return {"input_ids": torch.tensor([LONG["input_ids"], ids]), "attention_mask": torch.tensor([[1] * 7, mask])}


def test_it_is_the_models_own_loss(loaded):
    found = score.log_probabilities(loaded, [LONG], PLAIN)
    inputs = {name: torch.tensor([values]) for name, values in LONG.items()}

    assert len(found) == 4
    assert float(-found.mean()) == pytest.approx(float(loaded(**inputs).loss), rel=1e-5)


def test_rows_without_a_label_and_first_tokens_say_nothing(loaded):
    nothing = {"input_ids": [5, 6], "labels": [5, -100]}  # no token comes before the first

    assert len(score.log_probabilities(loaded, [nothing], PLAIN)) == 0
    assert len(score.log_probabilities(loaded, [nothing, SHORT, LONG], PLAIN)) == 6


@pytest.mark.parametrize("left", [False, True])
def test_a_sound_model_gives_the_same_beside_a_longer_row(loaded, left):
    assert score.beside(loaded, SHORT, padded(left), PLAIN) < 1e-5


def test_another_row_is_another(loaded):
    batch = padded(left=False)
    batch["input_ids"][1, 0] = 99

    assert score.beside(loaded, SHORT, batch, PLAIN) > 1e-4


def test_without_padding_there_is_nothing_to_compare(loaded):
    assert score.beside(loaded, SHORT, {"input_ids": torch.tensor([SHORT["input_ids"]])}, PLAIN) is None


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([torch.float32, torch.bfloat16, torch.float16]), st.integers(0, 29), st.integers(0, 14))
def test_one_bit_makes_another_fingerprint(dtype, place, bit):
    layer = torch.nn.Linear(5, 6, bias=False, dtype=dtype)
    before = dict(prints(layer))
    width = torch.int32 if dtype == torch.float32 else torch.int16
    with torch.no_grad():
        layer.weight.view(-1).view(width)[place] ^= 1 << bit

    assert dict(prints(layer)) != before

"""CFG-152, CFG-153: initial values that peft can't compute here, or replaces in silence."""

import pytest
import torch

from preflight.checks.method.initial_values import the_adapter_can_be_initialised as possible
from preflight.checks.method.initial_values import the_initial_values_are_the_ones_asked_for as used

FOUR = {"quantization": {"load_in_4bit": True}}


def lora(kind):
    extra = {"loftq_config": {"loftq_bits": 4}} if kind == "loftq" else {}
    return {"target_modules": ["q_proj"], "init_lora_weights": kind, **extra}


@pytest.mark.parametrize("kind", ["pissa", "pissa_niter_16", "mica", "orthogonal", "loftq", "corda"])
def test_a_quantized_model(find, kind):
    (finding,) = find(possible, lora=lora(kind), **FOUR)

    assert finding.fix.startswith("Set lora.init_lora_weights: true")


def test_corda_needs_a_pass_over_data(find):
    assert len(find(possible, lora=lora("corda"))) == 1


@pytest.mark.parametrize("kind", ["pissa", "pissa_niter_16", "olora", "orthogonal", "gaussian", "mica"])
def test_a_model_in_16_bits(find, kind):
    assert find(possible, lora=lora(kind)) == []


@pytest.mark.parametrize("kind", ["olora", "gaussian", "eva", "lora_ga"])
def test_what_a_quantized_model_allows(find, kind):
    assert find(possible, lora=lora(kind), **FOUR) == []


@pytest.mark.parametrize("kind", ["eva", "lora_ga"])
def test_kinds_that_become_plain_lora(find, kind):
    (finding,) = find(used, lora=lora(kind))

    assert "would be plain LoRA" in finding.message


@pytest.mark.parametrize("kind", ["pissa", "olora", "gaussian"])
def test_kinds_that_are_used(find, kind):
    assert find(used, lora=lora(kind)) == []


@pytest.mark.parametrize("check", [possible, used])
@pytest.mark.parametrize("section", [{"target_modules": ["q_proj"]}, lora(False), None])
def test_pefts_own_values(find, check, section):
    assert find(check, lora=section) is None


@pytest.mark.parametrize("kind", ["pissa", "mica", "orthogonal"])
def test_peft_refuses_quantized_weights_as_we_say(kind):
    """If peft learns to, CFG-152 must let it."""
    import bitsandbytes as bnb
    from peft import LoraConfig, get_peft_model

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.q_proj = bnb.nn.Linear4bit(64, 64, bias=False)

    model = Model()
    model.q_proj.weight = bnb.nn.Params4bit(torch.randn(64, 64), requires_grad=False)
    model.q_proj.to("cpu")
    model.is_loaded_in_4bit = True

    with pytest.raises((TypeError, RuntimeError)):
        get_peft_model(model, LoraConfig(r=8, target_modules=["q_proj"], init_lora_weights=kind))

"""CFG-151: what bitsandbytes leaves in 16 bits, against transformers' own replacement."""

import re

import pytest
import torch

from preflight.checks.method.quantized_layers import quantization_reaches_most_of_the_model as check
from preflight.checks.method.quantized_layers import the_output_layer_is_not_quantized as spared
from preflight.model.build import auto_class
from preflight.model.layers import layers_of
from tests.zoo import settings_of

FOUR = {"quantization": {"load_in_4bit": True}}
LORA = {"target_modules": "all-linear"}


@pytest.mark.parametrize("model", ["mixtral", "qwen3_moe", "gpt_oss"])
def test_fused_experts_stay_in_16_bits(find, model):
    (finding,) = find(check, model, {"intermediate_size": 512, "moe_intermediate_size": 512}, lora=None, **FOUR)

    assert re.match(r"9\d% of the weights stay in 16 bits: .*experts", finding.message)
    assert finding.observed.endswith("GiB")


def test_layers_of_a_class_of_their_own_stay_in_16_bits(find):
    (finding,) = find(check, "falcon", lora=LORA, **FOUR)

    assert finding.message.startswith("100% of the weights stay in 16 bits: query_key_value, dense")


@pytest.mark.parametrize("model", ["llama", "gpt2", "phi3", "gpt_neox", "gemma2"])
@pytest.mark.parametrize("bits", ["load_in_4bit", "load_in_8bit"])
def test_dense_models_are_quantized(find, model, bits):
    assert find(check, model, lora=LORA, quantization={bits: True}) == []


@pytest.mark.parametrize(
    "skip, observed",
    [(["lm_haed"], "lm_haed"), (["lm_head", "model.layers.9"], "model.layers.9"), (["v_porj"], "v_porj")],
)
def test_a_skip_that_matches_nothing(find, skip, observed):
    (finding,) = find(check, lora=LORA, quantization={"load_in_4bit": True, "llm_int8_skip_modules": skip})

    assert finding.observed == observed


@pytest.mark.parametrize(
    "skip", [["lm_head"], ["model.layers.0", "lm_head"], ["model.layers.*.self_attn.q_proj"], ["self_attn.q_proj"]]
)
def test_skips_that_match(find, skip):
    quantization = {"load_in_4bit": True, "llm_int8_skip_modules": skip}

    assert find(check, lora=LORA, quantization=quantization, thresholds={"max_share": 0.3}) == []


@pytest.mark.parametrize("judge", [check, spared])
def test_no_quantization(find, judge):
    assert find(judge, lora=LORA) is None


@pytest.mark.parametrize("skip, whole", [(["model.layers.0"], "[model.layers.0, lm_head]"), ([], "[lm_head]")])
def test_a_list_without_the_output_layer(find, skip, whole):
    (finding,) = find(spared, lora=LORA, quantization={"load_in_4bit": True, "llm_int8_skip_modules": skip})

    assert finding.fix == f"Set quantization.llm_int8_skip_modules: {whole}."


@pytest.mark.parametrize("skip", [None, ["lm_head"], ["model.layers.0", "lm_head"]])
def test_the_output_layer_is_spared(find, skip):
    assert find(spared, lora=LORA, quantization={"load_in_4bit": True, "llm_int8_skip_modules": skip}) == []


@pytest.mark.parametrize(
    "skip, kind", [(None, "Linear"), ([], "Linear4bit"), (["x"], "Linear4bit"), (["lm_head"], "Linear")]
)
def test_transformers_spares_the_output_layer_as_we_say(tiny, skip, kind):
    """If its own list is kept beside the user's, CFG-158 must go."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    settings = BitsAndBytesConfig(load_in_4bit=True, llm_int8_skip_modules=skip)

    assert type(AutoModelForCausalLM.from_pretrained(tiny, quantization_config=settings).lm_head).__name__ == kind


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral", "llama4_text", "gemma3", "falcon"])
def test_plain_layers_are_those_that_transformers_replaces(name):
    """If transformers learns to quantize more, `Layer.plain` must."""
    from transformers import BitsAndBytesConfig
    from transformers.integrations.bitsandbytes import replace_with_bnb_linear

    settings = settings_of(name)
    with torch.device("meta"):
        model = auto_class(settings).from_config(settings)
    plain = {layer.name for layer in layers_of(model) if layer.plain}
    replace_with_bnb_linear(model, quantization_config=BitsAndBytesConfig(load_in_4bit=True))

    assert plain == {name for name, module in model.named_modules() if type(module).__name__ == "Linear4bit"}

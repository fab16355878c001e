"""CFG-154, CFG-155: adapters and quantized checkpoints in the place of a model."""

import json

import pytest

from preflight.checks.method.base_checkpoint import INFERENCE_ONLY, UNMERGEABLE
from preflight.checks.method.base_checkpoint import a_quantized_checkpoint_can_be_trained_and_merged as trainable

LORA = {"target_modules": ["q_proj"]}
FOUR = {"load_in_4bit": True}


@pytest.mark.parametrize("config", [True, False], ids=["beside a model", "alone"])
def test_an_adapter_is_no_base(project, model, expect, config):
    (model / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/base"}))
    if not config:
        (model / "config.json").unlink()

    assert expect("CFG-154", "failed")[0]["message"] == "model is an adapter of org/base"


@pytest.mark.parametrize("text", ["not json", "[]", "{}"])
def test_a_broken_adapter_config_is_one_still(model, expect, text):
    (model / "adapter_config.json").write_text(text)

    assert expect("CFG-154", "failed")[0]["message"] == "model is an adapter"


def test_a_model_is_a_base(expect):
    assert expect("CFG-154", "passed") == []


def test_no_folder_is_another_checks(project, expect):
    project.set(model={"name_or_path": "./nowhere"})

    assert expect("CFG-154", "not-applicable") == []


@pytest.mark.parametrize(
    "method, sections, message",
    [
        ("gptq", {"quantization": FOUR}, "would quantize it a second time"),
        ("awq", {"quantization": FOUR}, "would quantize it a second time"),
        ("fp8", {"quantization": {"load_in_8bit": True}}, "would quantize it a second time"),
        ("gptq", {"lora": None}, "quantized weights can't be trained"),
        ("bitsandbytes", {"lora": None}, "quantized weights can't be trained"),
        ("mxfp4", {}, "for inference only"),
        ("gptq", {"lora": LORA | {"use_dora": True}}, "no DoRA"),
        ("gptq", {"deployment": {"merge": True}}, "can't be merged"),
        ("awq", {"deployment": {"scenario": "single-adapter"}}, "can't be merged"),
        ("fp8", {"deployment": {"scenario": "minimum-latency"}}, "can't be merged"),
    ],
)
def test_what_a_quantized_checkpoint_does_not_allow(find, method, sections, message):
    (finding,) = find(
        trainable, "llama", {"quantization_config": {"quant_method": method}}, **{"lora": LORA, **sections}
    )

    assert message in finding.message
    assert finding.fix


@pytest.mark.parametrize(
    "method, sections",
    [
        ("gptq", {}),
        ("awq", {"deployment": {"scenario": "several-adapters"}}),
        ("bitsandbytes", {"quantization": FOUR}),
        ("bitsandbytes", {"deployment": {"merge": True}}),
        ("fp8", {}),
    ],
)
def test_what_it_does(find, method, sections):
    settings = {"quantization_config": {"quant_method": method, **(FOUR if method == "bitsandbytes" else {})}}

    assert find(trainable, "llama", settings, **{"lora": LORA, **sections}) == []


def test_a_plain_checkpoint(find):
    assert find(trainable, "llama", {"quantization_config": None}, lora=LORA) is None
    assert find(trainable, "llama", lora=LORA, quantization=FOUR) is None


def test_inference_only_is_what_transformers_says():
    """`is_trainable` of each quantizer, where it doesn't depend on the config or on another package."""
    from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING

    found = {}
    for method, kind in AUTO_QUANTIZER_MAPPING.items():
        try:
            found[method] = kind.is_trainable.fget(None)
        except Exception:  # it asks for the config, or for the version of a package
            continue
    assert {method for method, trainable in found.items() if trainable is False} == INFERENCE_ONLY


@pytest.mark.parametrize("method", sorted(UNMERGEABLE - {"fp8"}))
def test_peft_has_no_merge_as_we_say(method):
    import inspect
    from importlib import import_module

    source = inspect.getsource(import_module(f"peft.tuners.lora.{method}"))

    assert "def merge" not in source or "Merging LoRA layers is not supported" in source

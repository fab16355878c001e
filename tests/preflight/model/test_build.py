"""Building what is trained: what libraries would do to it that a run can't bear."""

import pytest

from preflight.config import load_config
from preflight.model import build


def test_a_quantized_model_still_trains_after_an_evaluation(project):
    """On processors with AVX512-BF16, bitsandbytes repacks 4-bit weights when a model is evaluated."""
    import torch

    quantization = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "bfloat16"}
    model = build.load_base(load_config(project.set(quantization=quantization).write()))
    layer = model.model.layers[0].mlp.up_proj

    def gradient():
        inputs = torch.ones(1, layer.in_features, requires_grad=True)
        layer.train()(inputs).sum().backward()
        return inputs.grad

    before = gradient()
    with torch.no_grad():
        layer.eval()(torch.ones(1, layer.in_features))
    layer.state_dict()
    torch.testing.assert_close(gradient(), before)


def test_settings_can_take_the_place_of_the_runs(project):
    config = load_config(project.write())

    assert build.training_arguments(config, {"max_steps": 3}).max_steps == 3
    assert build.training_arguments(config).max_steps == -1
    with pytest.raises(build.BuildError, match="TRL refuses these settings here"):
        build.training_arguments(config, {"eval_strategy": "no", "load_best_model_at_end": True})

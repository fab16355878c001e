"""Bytes and hours, against what is really saved and what was really measured."""

import pytest

from preflight import cost
from preflight.config import load_config

BILLION = 1_000_000_000


@pytest.mark.parametrize(
    ("sections", "parameters", "trainable", "weights", "states"),
    [
        ({}, BILLION, 10_000_000, 40e6, 80e6),  # float32, and two moments
        ({"quantization": {"load_in_4bit": True}}, BILLION, 10_000_000, 20e6, 40e6),
        ({"training": {"optim": "adamw_8bit"}}, BILLION, 10_000_000, 40e6, 20.3e6),
        ({"training": {"optim": "paged_adamw_32bit"}}, BILLION, 10_000_000, 40e6, 80e6),
        ({"training": {"optim": "lion_8bit"}}, BILLION, 10_000_000, 40e6, 10.2e6),
        ({"training": {"optim": "sgd"}}, BILLION, 10_000_000, 40e6, 0),
        ({"training": {"save_only_model": True}}, BILLION, 10_000_000, 40e6, 0),
        ({"lora": None, "model": {"dtype": "bfloat16"}}, BILLION, BILLION, 2e9, 4e9),
        ({"lora": None, "model": {"dtype": "float32"}}, BILLION, BILLION, 4e9, 8e9),
    ],
)
def test_a_checkpoint_is_weights_and_states(project, sections, parameters, trainable, weights, states):
    config = load_config(project.set(**sections).write())
    sizes = cost.sizes_of(config, parameters, trainable)

    assert sizes.weights - cost.OVERHEAD == pytest.approx(weights, rel=0.01)
    assert sizes.checkpoint - sizes.weights == pytest.approx(states, rel=0.01)


@pytest.mark.parametrize(
    ("deployment", "merged", "exported"),
    [
        ({}, 0, 0),
        ({"scenario": "minimum-latency"}, 2e9, 0),
        ({"merge": True, "engine": "llama.cpp"}, 2e9, 2e9),
        ({"merge": False, "engine": "vllm"}, 0, 0),
    ],
)
def test_what_deployment_plans_is_written_too(project, deployment, merged, exported):
    config = load_config(project.set(deployment=deployment).write())
    sizes = cost.sizes_of(config, BILLION, 1)

    assert (sizes.merged, sizes.exported) == (merged, exported)


@pytest.mark.parametrize("sections", [{}, {"lora": {"use_dora": True}}, {"lora": None}], ids=["lora", "dora", "full"])
def test_real_checkpoints_are_as_large(project, tiny, tmp_path, sections):
    """The trainer's own files of a model that is large enough for its weights to matter."""
    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM

    config = load_config(project.set(**sections).write())
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    parameters = model.num_parameters()
    if config.lora is not None:
        model = get_peft_model(model, LoraConfig(**{**config.lora, "r": 512}))
    trained = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    save_file(trained, tmp_path / "model.safetensors")
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    count = sum(p.numel() for p in trained.values())
    sizes = cost.sizes_of(config, parameters, count)
    saved = {path.name: path.stat().st_size for path in tmp_path.iterdir() if path.is_file()}

    assert sizes.weights - cost.OVERHEAD == pytest.approx(saved["model.safetensors"], rel=0.05)
    assert sizes.checkpoint - sizes.weights == pytest.approx(saved["optimizer.pt"], rel=0.05)


def test_measured_speeds_lie_in_the_range(project):
    """Qwen's README: LoRA of a 7B with checkpointing on an A100, 134 TFLOP/s by 6N; an RTX 4080 made 22 to 39 of 97."""
    config = load_config(project.set(training={"gradient_checkpointing": True}).write())
    for parameters, peak, measured in ((7 * BILLION, 312, 134), (1.5 * BILLION, 97.5, 22), (1.5 * BILLION, 97.5, 39)):
        least, most = cost.hours(config, int(parameters), 10**9, peak, 1)
        real = 6 * parameters * 10**9 / (measured * 1e12) / 3600

        assert least <= real <= most


def test_dora_may_take_twice_as_long(project):
    plain = load_config(project.write())
    least, most = cost.hours(plain, BILLION, 10**6, 100, 1)
    dora = load_config(project.set(lora={"use_dora": True}).write())

    assert cost.hours(dora, BILLION, 10**6, 100, 1) == (least * 1.2, most * 2)

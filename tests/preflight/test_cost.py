"""Bytes and hours, against what the trainer really saves and what was really measured."""

from pathlib import Path
from typing import Any

import pytest

from preflight import cost
from preflight.config import load_config
from preflight.model import build
from preflight.model.modules import module_tree
from preflight.model.precision import precision_of
from preflight.model.trained import Trained
from preflight.strategy import Kind, Strategy

BILLION = 1_000_000_000
ONE = Strategy("single", 1)
FULL = {"lora": None}
FOUR_BIT = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "bfloat16"}


def sizes(config, kind: Kind = "single") -> cost.Sizes:
    return cost.sizes_of(config, module_tree(config), precision_of(config), Strategy(kind, 1))


def save(config, tmp_path: Path) -> dict[str, int]:
    """One step of the real trainer, and the files of its checkpoint."""
    from datasets import Dataset

    rows = Dataset.from_dict({"input_ids": [[1, 5, 6, 7]] * 2, "labels": [[1, 5, 6, 7]] * 2})
    once = {"max_steps": 1, "save_strategy": "steps", "save_steps": 1, "eval_strategy": "no"}
    once |= {"load_best_model_at_end": False, "report_to": "none"}
    build.make_trainer(config, build.training_arguments(config, once), rows).train()
    (checkpoint,) = config.output_dir.glob("checkpoint-*")
    return {file.name: file.stat().st_size for file in checkpoint.iterdir()}


ALL = ["q_proj", "k_proj", "v_proj", "o_proj"]


@pytest.mark.parametrize(
    ("sections", "optimizer"),
    [
        pytest.param({}, "adamw_torch", id="lora"),
        pytest.param({"model": {"dtype": "bfloat16"}}, "adamw_torch_fused", id="bfloat16 base"),
        pytest.param({"lora": {"use_dora": True}}, "adamw_torch", id="dora"),
        pytest.param({"lora": {"modules_to_save": ["embed_tokens"]}}, "adamw_torch", id="copies"),
        pytest.param(
            {"lora": {"modules_to_save": ["embed_tokens"]}, "model": {"dtype": "bfloat16"}}, "adamw_8bit", id="copies 8"
        ),
        pytest.param({"quantization": FOUR_BIT}, "adamw_torch", id="qlora"),
        pytest.param({"quantization": FOUR_BIT, "lora": {"use_dora": True}}, "paged_adamw_8bit", id="qdora 8"),
        pytest.param({"quantization": FOUR_BIT}, "paged_adamw_32bit", id="qlora 32"),
        pytest.param(FULL, "adamw_torch", id="full"),
        pytest.param(FULL | {"model": {"dtype": "bfloat16"}}, "adamw_torch", id="full bfloat16"),
        pytest.param(FULL | {"model": {"dtype": "bfloat16"}}, "adamw_8bit", id="full 8"),
        pytest.param(FULL, "adafactor", id="adafactor"),
        pytest.param(FULL, "sgd", id="sgd"),
        pytest.param(FULL, "lion_8bit", id="lion 8"),
        pytest.param(FULL | {"model": {"dtype": "bfloat16"}}, "lion_32bit", id="lion"),
        pytest.param(FULL, "ademamix", id="ademamix"),
        pytest.param(FULL, "rmsprop", id="rmsprop"),
        pytest.param(FULL, "adagrad", id="adagrad"),
    ],
)
def test_the_trainers_checkpoints_are_as_large(project, sections, optimizer, tmp_path):
    """On a model of two layers with wide adapters, file by file."""
    if "bit" in optimizer or "mix" in optimizer or "quantization" in sections:
        pytest.importorskip("bitsandbytes")
    project.set(lora={"r": 128, "target_modules": ALL}, training={"optim": optimizer})
    config = load_config(project.set(**sections).write())
    files, expected = save(config, tmp_path), sizes(config)

    weights = files.get("adapter_model.safetensors") or files["model.safetensors"]
    tokenizer = files["tokenizer.json"]
    assert expected.model - tokenizer - cost.SMALL == pytest.approx(weights, rel=0.02, abs=12_000)
    assert expected.checkpoint - expected.model == pytest.approx(files["optimizer.pt"], rel=0.03, abs=30_000)
    assert expected.checkpoint == pytest.approx(sum(files.values()), rel=0.02)


@pytest.mark.parametrize(
    ("sections", "optimizer"),
    [
        pytest.param({}, "adamw_torch", id="lora"),
        pytest.param({"quantization": FOUR_BIT}, "paged_adamw_8bit", id="qlora"),
        pytest.param(FULL | {"model": {"dtype": "bfloat16"}}, "adamw_8bit", id="full"),
    ],
)
def test_so_are_those_of_a_real_model(project, smollm2, sections, optimizer, tmp_path):
    pytest.importorskip("bitsandbytes")
    project.set(model={"name_or_path": str(smollm2)}, training={"optim": optimizer}).set(**sections)
    config = load_config(project.write())

    assert sizes(config).checkpoint == pytest.approx(sum(save(config, tmp_path).values()), rel=0.01)


def test_weights_alone_and_deepspeeds_states(project):
    config = load_config(project.set(lora=None, model={"dtype": "bfloat16"}).write())
    parameters = module_tree(config).parameters
    alone = load_config(project.set(training={"save_only_model": True}).write())

    assert sizes(alone).checkpoint == sizes(alone).model == sizes(config).model
    assert sizes(config, "zero2").checkpoint - sizes(config).model == (12 + 2) * parameters


@pytest.mark.parametrize(
    ("sections", "merged", "exported"),
    [
        ({"deployment": {}}, 0, 0),
        ({"deployment": {"scenario": "minimum-latency"}}, 4, 0),
        ({"deployment": {"scenario": "minimum-latency"}, "model": {"dtype": "bfloat16"}}, 2, 0),
        ({"deployment": {"merge": True, "engine": "llama.cpp"}}, 4, 2),
        ({"deployment": {"merge": False, "engine": "llama.cpp"}}, 0, 0),  # an adapter beside a base
        ({"deployment": {"merge": False, "engine": "vllm"}}, 0, 0),
        ({"deployment": {"merge": True, "engine": "ollama"}, "lora": None}, 0, 2),
    ],
)
def test_what_deployment_plans_is_written_too(project, tiny, sections, merged, exported):
    config = load_config(project.set(**sections).write())
    found, parameters = sizes(config), module_tree(config).parameters

    assert found.merged == pytest.approx(merged * parameters, abs=4e6)  # the tokenizer
    assert (found.merged > 0) is (merged > 0)
    assert found.exported == exported * parameters
    assert found.after == found.model + found.merged + found.exported


MATRIX = Trained("matrix", (16, 4096))


@pytest.mark.parametrize(
    ("optimizer", "width", "tensor", "bytes_each"),
    [
        ("adamw_torch_fused", 4, MATRIX, 8),
        ("adamw_torch_fused", 2, MATRIX, 4),
        ("adamw_torch_4bit", 2, MATRIX, 1.03),
        ("paged_adamw_8bit", 4, MATRIX, 2.03),
        ("paged_adamw_8bit", 2, Trained("matrix", (16, 192)), 8),  # too small to be quantized
        ("adamw_8bit", 2, Trained("weight", (32000, 4096), embedding=True), 8),
        ("paged_adamw_32bit", 2, MATRIX, 8),
        ("adamw_bnb_8bit", 2, MATRIX, 2.03),
        ("paged_lion_8bit", 2, MATRIX, 1.02),
        ("rmsprop_bnb", 2, MATRIX, 4),
        ("adafactor", 2, MATRIX, 4 / 16 + 4 / 4096),
        ("adafactor", 2, Trained("weight", (8, 16, 4096)), 4 / 16 + 4 / 4096),
        ("adafactor", 2, Trained("weight", ()), 8),
        ("lomo", 2, MATRIX, 0),
        ("schedule_free_sgd", 4, MATRIX, 4),
        ("an optimizer of next year", 4, MATRIX, 8),
    ],
)
def test_states_by_optimizer(optimizer, width, tensor, bytes_each):
    assert cost.state_bytes(tensor, optimizer, width) / tensor.size == pytest.approx(bytes_each, rel=0.01)


@pytest.mark.parametrize(
    ("sections", "kind", "world", "cards", "loading", "merging"),
    [
        ({"model": {"dtype": "float32"}}, "single", 1, False, 0, 0),  # as it is saved: mapped
        ({"model": {"dtype": "auto"}}, "ddp", 8, True, 0, 0),
        ({"model": {"dtype": "bfloat16"}}, "single", 1, True, 2, 0),
        ({"model": {"dtype": "bfloat16"}}, "ddp", 8, True, 16, 0),
        ({"model": {"dtype": "bfloat16"}}, "zero3", 8, True, 2, 0),
        ({"model": {"dtype": "bfloat16", "device_map": "auto"}}, "naive", 1, True, 0, 0),
        ({"model": {"dtype": "bfloat16"}, "quantization": FOUR_BIT}, "single", 1, True, 0, 0),
        ({"deployment": {"merge": True}}, "single", 1, True, 0, 4),
        ({"deployment": {"merge": True}, "lora": None}, "single", 1, True, 0, 0),
    ],
)
def test_the_hosts_memory_in_bytes_a_parameter(project, sections, kind, world, cards, loading, merging):
    config = load_config(project.set(**sections).write())
    tree = module_tree(config)
    found = cost.host_bytes(config, tree, precision_of(config), Strategy(kind, world), cards=cards)

    assert found == (loading * tree.parameters, merging * tree.parameters)


@pytest.mark.parametrize(
    ("card", "parameters", "peak", "measured"),
    [
        ("A100, Qwen's README", 1.8, 312, 88),
        ("A100, Qwen's README", 7, 312, 134),
        ("A100, Qwen's README", 14, 312, 157),
        ("A100, GPTQ", 7, 312, 100),
        ("RTX 4090, LLaMA-Factory", 7, 165.2, 95),
        ("RTX 3090 at 280 W", 7, 71, 47),
        ("RTX 4080", 1.5, 97.5, 22),
        ("RTX 4080", 1.5, 97.5, 39),
    ],
)
def test_measured_speeds_lie_in_the_range(project, card, parameters, peak, measured):
    """TFLOP/s by 6N operations a token, with gradient checkpointing."""
    config = load_config(project.set(training={"gradient_checkpointing": True}).write())
    size = int(parameters * BILLION)
    least, most = cost.hours(config, size, 10**9, peak, 1)

    assert least <= 6 * size * 10**9 / (measured * 1e12) / 3600 <= most


@pytest.mark.parametrize(
    ("sections", "times"),
    [({}, 4), ({"training": {"gradient_checkpointing": True}}, 6), ({"lora": None}, 6)],
)
def test_operations_a_token(project, sections: dict[str, Any], times):
    assert cost.flop_per_token(load_config(project.set(**sections).write()), BILLION) == times * BILLION


def test_dora_may_take_twice_as_long_and_cards_share(project):
    plain = load_config(project.write())
    least, most = cost.hours(plain, BILLION, 10**6, 100, 1)
    dora = load_config(project.set(lora={"use_dora": True}).write())

    assert cost.hours(dora, BILLION, 10**6, 100, 1) == (least * 1.2, most * 2)
    assert cost.hours(plain, BILLION, 10**6, 100, 4) == (least / 4, most / 4)

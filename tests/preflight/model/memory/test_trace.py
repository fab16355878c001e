"""Traced steps against arithmetic, against real tensors, and against published measurements."""

import csv
import runpy
from pathlib import Path

import pytest

from preflight.model.memory import Job
from preflight.model.memory.trace import trace

from .conftest import LLAMA, LORA

ROOT = Path(__file__).parents[4]
PARAMETERS = 2 * 1000 * 64 + 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 128 + 2 * 64) + 64
ADAPTER = 2 * 8 * ((64 + 64) + (64 + 32))  # r times (in + out), of q_proj and v_proj in two layers


def test_weights_adapters_and_optimizer_are_what_arithmetic_says(job):
    parts = trace(job).parts

    assert parts["weights"] == pytest.approx(2 * PARAMETERS, rel=0.05)  # each storage rounds up to 512 B
    assert parts["adapters"] == pytest.approx(4 * ADAPTER, abs=512 * 8)
    assert parts["optimizer"] == pytest.approx(8 * ADAPTER, abs=512 * 40)


def test_full_fine_tuning_keeps_gradients_and_two_moments_of_all_weights(job):
    parts = trace(job.replace(adapter=None, weights="float32", autocast=None, accumulation=2)).parts

    assert parts["weights"] == pytest.approx(4 * PARAMETERS, rel=0.05)
    assert parts["gradients"] == pytest.approx(4 * PARAMETERS, rel=0.1)
    assert parts["optimizer"] == pytest.approx(8 * PARAMETERS, rel=0.1)


def test_the_same_job_has_the_same_trace(job):
    assert trace(job) == trace(job)


BIG = {"batch": 4, "length": 1024}
WIDE = {**LLAMA, "vocab_size": 50_000}


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({}, {"batch": 8}),
        ({}, {"length": 2048}),
        ({"checkpointing": "non-reentrant"}, {"checkpointing": "none"}),
        ({"checkpointing": "reentrant"}, {"checkpointing": "none"}),
        ({"attention": "sdpa"}, {"attention": "eager"}),
        ({"sdpa": "flash"}, {"sdpa": "math"}),
        ({"sdpa": "efficient"}, {"sdpa": "efficient", "padded": True}),  # a mask a layer
        ({"model": WIDE, "loss": "fused"}, {"model": WIDE, "loss": "plain"}),
        ({"loss": "fused", "supervised": 16}, {"loss": "fused"}),
        ({}, {"adapter": {**LORA, "use_dora": True}}),
        ({}, {"adapter": {**LORA, "r": 64}}),
        ({}, {"adapter": {**LORA, "modules_to_save": ["lm_head"]}}),
        ({}, {"weights": "float32"}),
    ],
    ids=str,
)
def test_what_costs_more_takes_more(job, less, more):
    job = job.replace(**BIG)

    assert trace(job.replace(**less)).allocated < trace(job.replace(**more)).allocated


@pytest.mark.parametrize("adapter", [LORA, {**LORA, "use_rslora": True}, {**LORA, "use_dora": True}], ids=str)
@pytest.mark.parametrize("bits", [4, 8])
def test_quantized_models_are_traced_with_any_adapter(job, bits, adapter):
    pytest.importorskip("bitsandbytes")
    model = {**LLAMA, "hidden_size": 512, "intermediate_size": 1024}
    job = job.replace(model=model, adapter=adapter, cast="bfloat16", checkpointing="non-reentrant", double_quant=True)
    whole, quantized = trace(job), trace(job.replace(bits=bits))

    linear = 2 * (512 * 512 * 2 + 512 * 256 * 2 + 3 * 512 * 1024)
    assert whole.parts["weights"] - quantized.parts["weights"] == pytest.approx(linear * (16 - bits) / 8, rel=0.02)
    assert quantized.parts["quantization"] > 0


@pytest.mark.parametrize("optimizer", ["adamw_torch", "adamw_torch_fused", "sgd", "adafactor", "rmsprop"])
def test_optimizers_have_their_own_states(job, optimizer):
    found = trace(job.replace(adapter=None, optimizer=optimizer)).parts["optimizer"]
    share = {"sgd": 0, "adafactor": 0.2, "rmsprop": 2}.get(optimizer, 4)

    assert found <= PARAMETERS * share * 1.5 + 64 * 512
    assert found >= PARAMETERS * share * 0.1


def test_states_of_a_paged_optimizer_are_not_on_the_card(job):
    pytest.importorskip("bitsandbytes")
    wide = job.replace(model={**LLAMA, "vocab_size": 8000}, adapter=None)  # embeddings of more than 100,000 numbers
    paged, plain = (trace(wide.replace(optimizer=name)) for name in ("paged_adamw_8bit", "adamw_8bit"))

    assert paged.paged > 0
    assert paged.parts["optimizer"] < plain.parts["optimizer"]


@pytest.mark.parametrize(
    "model",
    [
        {"model_type": "qwen2", "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2},
        {"model_type": "gemma2", "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16},
        {"model_type": "gpt2", "n_embd": 64, "n_head": 4, "n_layer": 2},
        {"model_type": "gpt_neox", "hidden_size": 64, "num_attention_heads": 4},
        {"model_type": "mixtral", "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
         "num_local_experts": 4, "num_experts_per_tok": 2},
    ],
    ids=lambda model: model["model_type"],
)  # fmt: skip
@pytest.mark.parametrize("loss", ["fused", "plain"])
def test_other_families_are_traced(job, model, loss):
    sizes = {"num_hidden_layers": 2, "intermediate_size": 128, "vocab_size": 1000} if "n_embd" not in model else {}
    adapter = {**LORA, "target_modules": "all-linear"}
    found = trace(job.replace(model={**sizes, **model}, adapter=adapter, loss=loss))

    assert found.parts["activations"] > 0
    assert found.parts["adapters"] > 0


def test_a_traced_step_takes_what_a_real_one_takes(job, monkeypatch):
    """The same step on real tensors, on the CPU, under the same book."""
    import contextlib

    from torch._subclasses import fake_tensor

    job = job.replace(autocast=None, weights="float32", loss="plain", optimizer="adamw_torch", attention="eager")
    traced = trace(job)
    monkeypatch.setattr(fake_tensor, "FakeTensorMode", lambda **_: contextlib.nullcontext())
    real = trace(job)

    assert traced.allocated == pytest.approx(real.allocated, rel=0.01)
    assert traced.parts == pytest.approx(real.parts, rel=0.02)


def published():
    """The rows that are held to: of each source and method, the ones that are traced fastest."""
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "memory.py"))
    with benchmark["ROWS"].open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["quality"] == "A"]
    wanted = [
        ("TinyLlama-1.1B", "1024", "eager"),
        ("TinyLlama-1.1B", "2048", "sdpa"),
        ("Qwen2.5-0.5B", "1024", "sdpa"),
        ("Qwen2.5-1.5B", "2048", "sdpa"),
    ]
    for row in rows:
        if (row["model"], row["seq_len"], row["attn_impl"]) in wanted:
            yield pytest.param(benchmark["job_of"](row), float(row["peak_gib"]), id=f"{row['model']}-{row['method']}")


@pytest.mark.parametrize(("job", "measured"), list(published()))
def test_published_measurements_are_met(job: Job, measured: float):
    pytest.importorskip("bitsandbytes")

    workspaces = 2 * 8.125 / 1024  # of cuBLAS, which `predict` adds
    assert trace(job).allocated / 2**30 + workspaces == pytest.approx(measured, rel=0.02)

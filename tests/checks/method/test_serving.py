"""CFG-156, CFG-157: what engines take of an adapter that isn't merged, and what they must be told."""

import pytest

from preflight.checks.method.engine_setup import the_engine_is_told_what_the_adapter_needs as told
from preflight.checks.method.serving import the_engine_can_serve_the_adapter as takes
from preflight.engines import allowed

LORA = {"r": 16, "lora_alpha": 32, "target_modules": ["q_proj", "v_proj"]}


def on(engine, **deployment):
    return {"deployment": {"engine": engine, **deployment}}


@pytest.mark.parametrize(
    "engine, lora, fix",
    [
        ("vllm", {"use_dora": True}, "lora.use_dora: false"),
        ("sglang", {"use_dora": True}, "lora.use_dora: false"),
        ("tgi", {"use_dora": True}, "lora.use_dora: false"),
        ("llama.cpp", {"use_dora": True}, "lora.use_dora: false"),
        ("vllm", {"modules_to_save": ["lm_head"]}, "lora.modules_to_save: null"),
        ("ollama", {"modules_to_save": ["lm_head"]}, "lora.modules_to_save: null"),
        ("vllm", {"trainable_token_indices": [5]}, "lora.trainable_token_indices: null"),
        ("vllm", {"bias": "all"}, "lora.bias: none"),
        ("vllm", {"rank_pattern": {"q_proj": 8}}, "lora.rank_pattern: {}"),
        ("llama.cpp", {"use_rslora": True}, "lora.use_rslora: false"),
        ("vllm", {"init_lora_weights": "pissa"}, "lora.init_lora_weights: true"),
        ("llama.cpp", {"init_lora_weights": "olora"}, "lora.init_lora_weights: true"),
        ("vllm", {"r": 1024}, "lora.r: 512"),
    ],
)
def test_what_an_engine_does_not_take(find, engine, lora, fix):
    (finding,) = find(takes, lora=LORA | lora, **on(engine))

    assert finding.fix.startswith("Set deployment.merge: true")
    assert fix in finding.fix
    assert find(takes, lora=LORA | lora, **on(engine, merge=True)) is None


@pytest.mark.parametrize("scenario", ["single-adapter", "minimum-latency"])
def test_a_scenario_that_merges_takes_all(find, scenario):
    assert find(takes, lora=LORA | {"use_dora": True}, **on("vllm", scenario=scenario)) is None


@pytest.mark.parametrize(
    "engine, lora",
    [
        ("vllm", {}),
        ("vllm", {"use_rslora": True}),
        ("vllm", {"r": 512}),
        ("vllm", {"init_lora_weights": "gaussian"}),
        ("vllm", {"modules_to_save": [], "rank_pattern": {}, "bias": "none"}),
        ("sglang", {"use_rslora": True}),
        ("llama.cpp", {"rank_pattern": {"q_proj": 8}}),
        ("transformers", {"use_dora": True, "modules_to_save": ["lm_head"], "init_lora_weights": "pissa"}),
    ],
)
def test_what_an_engine_takes(find, engine, lora):
    assert find(takes, lora=LORA | lora, **on(engine, scenario="several-adapters")) == []


@pytest.mark.parametrize("rank, limit, fix", [(64, 32, "--max-lora-rank 64"), (48, 16, "--max-lora-rank 64")])
def test_a_server_that_is_started_with_less(find, rank, limit, fix):
    (finding,) = find(takes, lora=LORA | {"r": rank}, **on("vllm", max_lora_rank=limit))

    assert fix in finding.fix


@pytest.mark.parametrize("check", [takes, told])
def test_nothing_is_declared(find, check):
    assert find(check, lora=LORA | {"use_dora": True}) is None
    assert find(check, lora=None, **on("vllm")) is None


@pytest.mark.parametrize("rank, number", [(17, 32), (32, 32), (64, 64), (300, 320)])
def test_a_rank_above_vllms_default(find, rank, number):
    (finding,) = find(told, lora=LORA | {"r": rank}, **on("vllm"))

    assert f"--max-lora-rank {number} " in finding.fix
    assert find(told, lora=LORA | {"r": rank}, **on("vllm", max_lora_rank=number)) == []


def test_fused_experts_in_vllm(find):
    lora = LORA | {"target_modules": ["q_proj", "w1", "w2", "w3"]}

    assert ["fused experts" in finding.message for finding in find(told, "mixtral", lora=lora, **on("vllm"))] == [True]
    assert find(told, "mixtral", lora=lora, **on("sglang")) == []


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_towers(find, engine):
    (finding,) = find(told, "gemma3", lora=LORA, **on(engine))

    assert finding.observed == "vision"


@pytest.mark.parametrize("rank", [1, 8, 16])
def test_ranks_that_vllm_takes_by_default(find, rank):
    assert find(told, lora=LORA | {"r": rank}, **on("vllm")) == []


def test_the_next_rank_up():
    assert [allowed(rank) for rank in (1, 2, 9, 65, 512)] == [1, 8, 16, 128, 512]


def test_in_a_gate_run(project, expect):
    project.set(lora={"use_dora": True}, deployment={"engine": "vllm"})

    assert expect("CFG-156", "failed")[0]["where"].startswith("config.yaml:")

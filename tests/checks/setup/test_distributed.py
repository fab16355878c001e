"""CFG-165 to CFG-169: several processes and several cards. CFG-166, CFG-167 and CFG-168 are between them."""

import json

import pytest

from preflight.config import load_config
from preflight.strategy import Strategy, strategy_of
from preflight.target import Gpu, Target

ONE, TWO = {"gpu": "A100", "memory_gib": 80}, {"gpu": "A100", "memory_gib": 80, "count": 2}
CPU = {"target": "local"}
ZERO3 = {"zero_optimization": {"stage": 3}}
GATHERS = {"zero_optimization": {"stage": 3, "stage3_gather_16bit_weights_on_model_save": True}}
NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "bfloat16"}


REENTRANT = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": True}}


@pytest.mark.parametrize(
    ("hardware", "training", "outcome"),
    [
        (TWO, REENTRANT, "failed"),
        (TWO, {**REENTRANT, "ddp_find_unused_parameters": True}, "failed"),
        (TWO, {**REENTRANT, "ddp_find_unused_parameters": False}, "passed"),
        (TWO, {"gradient_checkpointing": True}, "passed"),
        (TWO, {**REENTRANT, "gradient_checkpointing": False}, "passed"),
        (ONE, REENTRANT, "not-applicable"),
    ],
)
def test_reentrant_checkpointing_does_not_go_with_ddp(project, expect, hardware, training, outcome):
    project.set(hardware=hardware, training=training)

    expect("CFG-165", outcome)


@pytest.mark.parametrize(
    ("hardware", "training", "outcome"),
    [
        (TWO, {"eval_strategy": "epoch", "per_device_eval_batch_size": 16}, "warned"),  # 16 rows
        (TWO, {"eval_strategy": "epoch", "per_device_eval_batch_size": 8}, "passed"),
        (TWO, {"eval_strategy": "no", "per_device_eval_batch_size": 16}, "not-applicable"),
        (ONE, {"eval_strategy": "epoch", "per_device_eval_batch_size": 64}, "not-applicable"),
    ],
)
def test_each_process_evaluates(project, expect, hardware, training, outcome):
    project.set(hardware=hardware, training=training)

    expect("CFG-166", outcome)


@pytest.mark.parametrize(
    ("quantization", "training", "outcome"),
    [
        (NF4, {"fsdp": True}, "failed"),
        ({**NF4, "bnb_4bit_quant_storage": "bfloat16"}, {"fsdp": True}, "passed"),
        ({**NF4, "bnb_4bit_quant_storage": "float16"}, {"fsdp": True}, "failed"),
        ({"load_in_8bit": True}, {"fsdp": True}, "failed"),
        (NF4, {"deepspeed": ZERO3}, "failed"),
        (NF4, {}, "not-applicable"),
    ],
)
def test_quantized_weights_are_sharded_in_the_type_of_the_others(project, expect, quantization, training, outcome):
    project.set(hardware=TWO, model={"dtype": "bfloat16"}, quantization=quantization, training=training)

    expect("CFG-167", outcome)


@pytest.mark.parametrize(
    ("training", "outcome"),
    [
        ({"deepspeed": ZERO3}, "warned"),
        ({"deepspeed": GATHERS}, "passed"),
        ({"fsdp": True, "fsdp_config": {"state_dict_type": "SHARDED_STATE_DICT"}}, "warned"),
        ({"fsdp": True, "fsdp_config": {"state_dict_type": "FULL_STATE_DICT"}}, "passed"),
        ({"fsdp": True}, "passed"),
        ({}, "not-applicable"),
    ],
)
def test_a_sharded_run_gathers_what_it_saves(project, expect, training, outcome):
    project.set(hardware=TWO, training=training)

    expect("CFG-168", outcome)


@pytest.mark.parametrize(
    ("hardware", "training", "outcome"),
    [(CPU, {"fsdp": True}, "warned"), (TWO, {"fsdp": True}, "passed"), (CPU, {}, "not-applicable")],
)
def test_sharding_needs_cards(project, expect, hardware, training, outcome):
    project.set(hardware=hardware, training=training)

    expect("CFG-169", outcome)


CARD = Gpu("Card", 2**34)


@pytest.mark.parametrize(
    ("local", "cards", "world", "model", "training", "kind"),
    [
        (True, 0, None, {}, {}, Strategy("single", 1)),
        (True, 1, None, {}, {}, Strategy("single", 1)),
        (True, 2, None, {}, {}, Strategy("dp", 1)),
        (True, 2, None, {"device_map": "auto"}, {}, Strategy("naive", 1)),
        (True, 2, "2", {}, {}, Strategy("ddp", 2)),
        (True, 2, "nonsense", {}, {}, Strategy("dp", 1)),
        (False, 2, None, {}, {}, Strategy("ddp", 2)),
        (False, 1, "4", {}, {}, Strategy("single", 1)),  # this process' launcher says nothing of another machine
        (False, 8, None, {}, {"fsdp": True}, Strategy("fsdp", 8)),
        (False, 8, None, {}, {"deepspeed": {"zero_optimization": {"stage": 2}}}, Strategy("zero2", 8)),
        (False, 8, None, {}, {"deepspeed": "ds.json"}, Strategy("zero3", 8)),
        (False, 8, None, {}, {"deepspeed": "missing.json"}, Strategy("ddp", 8)),
        (False, 8, None, {}, {"deepspeed": {"zero_optimization": "auto"}}, Strategy("ddp", 8)),
    ],
)
def test_the_strategy_is_read_off_config_launcher_and_machine(
    project, monkeypatch, local, cards, world, model, training, kind
):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if world:
        monkeypatch.setenv("WORLD_SIZE", world)
    project.text(json.dumps(ZERO3), "ds.json")
    path = project.set(model=model, training=training).write()

    assert strategy_of(load_config(path), Target(local=local, gpus=(CARD,) * cards)) == kind

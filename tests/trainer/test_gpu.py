"""Every method on a real card: it trains, goes on from a checkpoint, and ends with the same losses."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

STEPS, STOPPED = 20, 10
NF4 = {
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "bnb_4bit_compute_dtype": "bfloat16",
}
BF16 = {"model": {"dtype": "bfloat16"}, "training": {"bf16": True}}
PAGED = {"training": {"bf16": True, "optim": "paged_adamw_8bit"}}


def needs(package):
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


def cards():
    import torch

    return torch.cuda.device_count()


@pytest.fixture
def real(project, smollm2):
    training = {"max_steps": STEPS, "save_strategy": "steps", "save_steps": STOPPED, "eval_strategy": "no"}
    return project.set(model={"name_or_path": str(smollm2)}, training=training)


def losses(folder):
    records = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    return [record["loss"] for record in records if "loss" in record]


def falls(undisturbed):
    return sum(undisturbed[-5:]) < sum(undisturbed[:5])


def interrupted(folder):
    """As if the run had been killed behind its first checkpoint."""
    shutil.rmtree(folder / f"checkpoint-{STEPS}")
    state = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(state | {"finished": False}))


METHODS = {
    "lora-bf16": BF16,
    "lora-fp16": {"training": {"fp16": True}},
    "lora-fp32": {"training": {"bf16": False}},
    "rslora": {**BF16, "lora": {"use_rslora": True}},
    "dora": {**BF16, "lora": {"use_dora": True}},
    "qlora": {"quantization": NF4, **PAGED},
    "qdora": {"quantization": NF4, "lora": {"use_dora": True}, **PAGED},
    "full": {"lora": None, "training": {"bf16": True, "learning_rate": 2e-5}},
    "packing": {"training": {"bf16": True, "packing": True}},
    "padding-free": {
        "model": {"dtype": "bfloat16", "attn_implementation": "flash_attention_2"},
        "training": {"bf16": True, "padding_free": True},
    },
    "checkpointing": {"training": {"bf16": True, "gradient_checkpointing": True}},
    "liger": {"model": {"dtype": "bfloat16"}, "training": {"bf16": True, "use_liger_kernel": True}},
}
NEEDS = {"padding-free": "flash_attn", "liger": "liger_kernel", "qlora": "bitsandbytes", "qdora": "bitsandbytes"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[needs(NEEDS[name])] if name in NEEDS else []) for name in METHODS]
)
def test_every_method_trains_and_resumes_on_a_card(real, fly, name):
    real.set(**METHODS[name])
    whole = fly()
    assert whole.code == 0, whole.screen
    undisturbed = losses(whole.folder)
    assert falls(undisturbed)
    assert any("memory_allocated" in record for record in whole.records)

    interrupted(whole.folder)
    again = fly()

    assert again.code == 0, again.screen
    assert f"resuming from checkpoint-{STOPPED}" in again.screen
    # Kernels of a card add up in an order of their own: the losses agree to the precision they are computed in.
    assert losses(again.folder) == pytest.approx(undisturbed, rel=2e-2)


FSDP2 = {
    "fsdp": True,
    "fsdp_config": {
        "version": 2,
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "reshard_after_forward": True,
        "state_dict_type": "FULL_STATE_DICT",
    },
}
ZERO = {
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "bf16": {"enabled": "auto"},
}
ZERO3 = {"stage": 3, "stage3_gather_16bit_weights_on_model_save": True}
SPREAD = {
    "ddp": BF16,
    "ddp-accelerate": BF16,
    "fsdp2": {"training": {"bf16": True, **FSDP2}},
    "fsdp2-qlora": {
        "model": {"dtype": "bfloat16"},
        "quantization": {**NF4, "bnb_4bit_quant_storage": "bfloat16"},
        "training": {"bf16": True, **FSDP2},
    },
    "zero2": {"training": {"bf16": True, "deepspeed": {**ZERO, "zero_optimization": {"stage": 2}}}},
    "zero3": {"training": {"bf16": True, "deepspeed": {**ZERO, "zero_optimization": ZERO3}}},
}
WRAPPERS = {"ddp": "DistributedDataParallel", "fsdp2": "FSDPPeftModelForCausalLM", "zero": "DeepSpeedEngine"}
ENGINES = {"zero2": "deepspeed", "zero3": "deepspeed", "fsdp2-qlora": "bitsandbytes"}
TORCHRUN = ["torchrun", "--standalone", "--nproc_per_node", "2"]
ACCELERATE = ["accelerate", "launch", "--multi_gpu", "--num_machines", "1", "--num_processes", "2"]

WATCHED = """
import json, sys
from transformers import TrainerCallback
from preflight.model import build
from preflight.trainer import run

made = build.make_trainer

class Seen(TrainerCallback):
    def __init__(self, trainer):
        self.trainer = trainer

    def on_step_end(self, args, state, control, **_):
        seen = {"world": args.world_size, "wrapper": type(self.trainer.model_wrapped).__name__}
        with open(f"rank{args.process_index}.json", "w") as stream:
            json.dump(seen, stream)

def watched(*arguments, **more):
    trainer = made(*arguments, **more)
    trainer.add_callback(Seen(trainer))
    return trainer

build.make_trainer = watched
sys.exit(run.main(["config.yaml"]))
"""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[needs(ENGINES[name])] if name in ENGINES else []) for name in SPREAD]
)
def test_every_engine_trains_and_resumes_on_two_cards(real, name):
    if cards() < 2:
        pytest.skip("needs two CUDA cards")
    real.set(**SPREAD[name]).clear()
    real.text(WATCHED, "watched.py")
    launcher, *options = ACCELERATE if name.endswith("accelerate") else TORCHRUN
    run = real.folder / "run"

    def train():
        done = subprocess.run(
            [Path(sys.executable).parent / launcher, *options, "watched.py"],
            cwd=real.folder,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr, losses(run)

    _, undisturbed = train()
    wrapper = next(kind for prefix, kind in WRAPPERS.items() if name.startswith(prefix))
    seen = [json.loads((real.folder / f"rank{rank}.json").read_text()) for rank in range(2)]
    assert seen == [{"world": 2, "wrapper": wrapper}] * 2
    assert falls(undisturbed)
    interrupted(run)
    screen, again = train()

    assert f"resuming from checkpoint-{STOPPED}" in screen
    assert again == pytest.approx(undisturbed, rel=2e-2)
    assert (run / "adapter_model.safetensors").is_file()
    assert real.gate("-k", "POST-102", stage="postflight").outcome("POST-102") == "passed"

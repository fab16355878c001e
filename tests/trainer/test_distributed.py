"""Two real processes on the CPU: they make the adapter that one makes, and one in shards comes back whole."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

TORCHRUN = [str(Path(sys.executable).parent / "torchrun"), "--standalone", "--nproc_per_node"]

TRAIN = """
import json, os, sys
from transformers import TrainerCallback
from preflight.config import load_config
from preflight.data import prepare, store
from preflight.model import build
from preflight.trainer import run

made = build.make_trainer

class Seen(TrainerCallback):
    def __init__(self, trainer):
        self.trainer = trainer

    def on_step_end(self, args, state, control, **_):
        seen = {"world": args.world_size, "wrapper": type(self.trainer.model_wrapped).__name__, "opened": opened}
        with open(f"rank{args.process_index}.json", "w") as stream:
            json.dump(seen, stream)

def watched(*arguments, **more):
    trainer = made(*arguments, **more)
    trainer.add_callback(Seen(trainer))
    return trainer

def refuse(*arguments, **more):
    raise AssertionError("data was prepared again")

opened = 0
open_prepared = store.open_prepared

def counted(folder):
    global opened
    opened += 1
    return open_prepared(folder)

build.make_trainer, prepare.prepare, store.open_prepared = watched, refuse, counted
run.quiet_libraries()
sys.exit(run.train(load_config("config.yaml"), {"subject": []}))
"""


@pytest.fixture
def spread(project):
    """`spread(processes)`: train on so many processes, four rows a step; returns adapter, losses and what was seen."""
    from preflight.config import load_config
    from preflight.data.prepare import prepare
    from preflight.model.tokenizer import load_tokenizer

    def train(processes):
        project.set(
            training={"max_steps": 6, "per_device_train_batch_size": 4 // processes, "eval_strategy": "no", "seed": 3}
        )
        config = load_config(project.write())
        prepare(config, load_tokenizer(config))
        store = {path: path.stat().st_mtime_ns for path in (project.folder / "run").rglob("*.arrow")}
        project.text(TRAIN, "spread.py")
        done = subprocess.run(
            [*([*TORCHRUN, str(processes)] if processes > 1 else [sys.executable]), "spread.py"],
            cwd=project.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert store == {path: path.stat().st_mtime_ns for path in (project.folder / "run").rglob("*.arrow")}
        run = project.folder / "run"
        records = [json.loads(line) for line in (run / "run.jsonl").read_text().splitlines()]
        losses = [record["loss"] for record in records if "loss" in record]
        seen = [json.loads((project.folder / f"rank{rank}.json").read_text()) for rank in range(processes)]
        return load_file(run / "adapter_model.safetensors"), losses, seen

    return train


def test_two_processes_make_the_adapter_that_one_makes(project, spread):
    one, losses, seen = spread(1)
    assert seen == [{"world": 1, "wrapper": "PeftModelForCausalLM", "opened": 2}]
    shutil.rmtree(project.folder / "run")

    two, again, seen = spread(2)

    # The run opens it, and the plan of its monitors.
    assert seen == [{"world": 2, "wrapper": "DistributedDataParallel", "opened": 2}] * 2
    assert again == pytest.approx(losses, rel=1e-5)
    for name, tensor in one.items():
        # Gradients are summed in another order; Adam divides by their size, so that of the smallest, noise counts.
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=2e-6)


SHARD = """
import sys, torch
import torch.distributed as dist
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM
from preflight.trainer.checkpoints import same_as
from preflight.trainer.gauge import norms

base, folder = sys.argv[1:]
dist.init_process_group("gloo")
mesh = init_device_mesh("cpu", (2,))
torch.manual_seed(0)
model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype="float32"),
                       LoraConfig(r=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
whole = {name: float(tensor.detach().norm()) for name, tensor in model.named_parameters() if tensor.requires_grad}
ids = torch.arange(2, 34).reshape(2, 16)
with torch.no_grad():
    wanted = model(input_ids=ids).logits
for layer in model.base_model.model.model.layers:
    fully_shard(layer, mesh=mesh)
fully_shard(model, mesh=mesh)

names, found = norms(model)
assert names == list(whole) and torch.allclose(torch.tensor(found), torch.tensor([*whole.values()]), rtol=1e-5)

optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=1e-3)
for _ in range(2):
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
with torch.no_grad():
    tuned = model(input_ids=ids).logits
assert not torch.allclose(tuned, wanted)

state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
if dist.get_rank() == 0:
    model.peft_config["default"].save_pretrained(folder)
    save_file(get_peft_model_state_dict(model, state_dict=state), f"{folder}/adapter_model.safetensors")
dist.barrier()
assert same_as(model, __import__("pathlib").Path(folder)) == []  # spread over processes: nothing is compared

fresh = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="float32"), folder)
with torch.no_grad():
    torch.testing.assert_close(fresh(input_ids=ids).logits, tuned, rtol=1e-4, atol=1e-5)
print("whole again", dist.get_rank(), type(next(one for one in model.parameters() if one.requires_grad)).__name__)
dist.destroy_process_group()
"""


def test_an_adapter_in_shards_is_saved_and_loaded_whole(tiny, tmp_path):
    (tmp_path / "shard.py").write_text(SHARD)

    done = subprocess.run(
        [*TORCHRUN, "2", str(tmp_path / "shard.py"), str(tiny), str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert sorted(line for line in done.stdout.splitlines() if "whole again" in line) == [
        "whole again 0 DTensor",
        "whole again 1 DTensor",
    ]

"""Two real processes on the CPU: they make the adapter that one makes, and one in shards comes back whole."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

TORCHRUN = [str(Path(sys.executable).parent / "torchrun"), "--standalone", "--nproc_per_node"]
QUIETLY = {**os.environ, "OMP_NUM_THREADS": "1"}

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
def ready(project):
    """`ready(processes)`: a script that trains on so many, four rows a step on data that is prepared; the command."""
    from preflight.config import load_config
    from preflight.data.prepare import prepare
    from preflight.model.tokenizer import load_tokenizer

    def prepared(processes, steps=6):
        batch = {"max_steps": steps, "per_device_train_batch_size": 4 // processes}
        project.set(training={**batch, "eval_strategy": "no", "seed": 3})
        config = load_config(project.write())
        prepare(config, load_tokenizer(config))
        return [*([*TORCHRUN, str(processes)] if processes > 1 else [sys.executable]), project.text(TRAIN, "train.py")]

    return prepared


@pytest.fixture
def spread(project, ready):
    """`spread(processes)`: train on so many processes; returns adapter, losses and what was seen."""
    run = project.folder / "run"

    def train(processes):
        command = ready(processes)
        store = {path: path.stat().st_mtime_ns for path in run.rglob("*.arrow")}
        done = subprocess.run(
            command, cwd=project.folder, env=QUIETLY, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        assert store == {path: path.stat().st_mtime_ns for path in run.rglob("*.arrow")}
        seen = [json.loads((project.folder / f"rank{rank}.json").read_text()) for rank in range(processes)]
        return load_file(run / "adapter_model.safetensors"), losses(run), seen

    return train


def losses(run):
    records = [json.loads(line) for line in (run / "run.jsonl").read_text().splitlines()]
    return [record["loss"] for record in records if "loss" in record]


def test_two_processes_make_the_adapter_that_one_makes(project, spread):
    one, alone, seen = spread(1)
    assert seen == [{"world": 1, "wrapper": "PeftModelForCausalLM", "opened": 2}]
    shutil.rmtree(project.folder / "run")

    two, together, seen = spread(2)

    # The run opens it, and the plan of its monitors.
    assert seen == [{"world": 2, "wrapper": "DistributedDataParallel", "opened": 2}] * 2
    assert together == pytest.approx(alone, rel=1e-5)
    for name, tensor in one.items():
        # Gradients are summed in another order; Adam divides by their size, so that of the smallest, noise counts.
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=2e-6)


@pytest.mark.drill
@pytest.mark.parametrize("everyone", [False, True], ids=["the launcher", "every process"])
def test_a_signal_ends_both_with_one_checkpoint_and_the_run_goes_on_from_there(project, ready, everyone):
    """A scheduler signals the launcher alone, or every process of the job, which the launcher then does once more."""
    from preflight.trainer import checkpoints

    run, command = project.folder / "run", ready(2, steps=20)
    with (project.folder / "said.txt").open("w") as said:
        launcher = subprocess.Popen(command, cwd=project.folder, env=QUIETLY, stdout=said, stderr=said)
        while launcher.poll() is None and not ((run / "run.jsonl").is_file() and len(losses(run)) >= 3):
            time.sleep(0.01)
        workers = psutil.Process(launcher.pid).children()
        for worker in workers if everyone else []:
            worker.terminate()
        time.sleep(0.05)
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait(60) != 0
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in workers)
    kept = [path.name for path in run.glob("checkpoint-*")]
    assert kept == [checkpoints.last_whole(run).name]
    assert sorted(path.name for path in (run / kept[0]).glob("rng_state_*")) == ["rng_state_0.pth", "rng_state_1.pth"]

    ended = []
    for start in (f"resuming from {kept[0]}", "training tiny"):  # the rest of it, and all of it once more, undisturbed
        done = subprocess.run(
            command, cwd=project.folder, env=QUIETLY, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        assert start in done.stderr
        ended.append((losses(run), (run / "adapter_model.safetensors").read_bytes()))
    assert len(ended[0][0]) == 20
    assert ended[0] == ended[1]


SHARD = """
import sys, torch
from pathlib import Path
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
assert same_as(model, Path(folder)) == []  # spread over processes: nothing is compared

fresh = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="float32"), folder)
with torch.no_grad():
    torch.testing.assert_close(fresh(input_ids=ids).logits, tuned, rtol=1e-4, atol=1e-5)
trained = next(one for one in model.parameters() if one.requires_grad)
print("whole again", dist.get_rank(), dist.get_world_size(), type(model).__name__, type(trained).__name__)
dist.destroy_process_group()
"""


def test_an_adapter_in_shards_is_saved_and_loaded_whole(tiny, tmp_path):
    (tmp_path / "shard.py").write_text(SHARD)

    done = subprocess.run(
        [*TORCHRUN, "2", str(tmp_path / "shard.py"), str(tiny), str(tmp_path)],
        cwd=tmp_path,
        env=QUIETLY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert sorted(line for line in done.stdout.splitlines() if "whole again" in line) == [
        "whole again 0 2 FSDPPeftModel DTensor",
        "whole again 1 2 FSDPPeftModel DTensor",
    ]

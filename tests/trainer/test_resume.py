"""Every method trains, goes on from a checkpoint, and ends as if it had not been stopped: to the last bit."""

import json
import shutil
from typing import Any

import pytest

pytest.importorskip("bitsandbytes")

NF4 = {
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "bnb_4bit_compute_dtype": "float32",
}
DROPOUT = {"lora_dropout": 0.1}  # the random state matters
PAGED = {"optim": "paged_adamw_8bit"}
STEPS, STOPPED = 6, 3


@pytest.fixture
def resume(project, monkeypatch):
    """`resume(sections)`: train whole, take away all that came after the checkpoint in the middle, and train again."""
    from preflight.trainer import recheck
    from preflight.trainer.run import main

    monkeypatch.setattr(recheck, "start", lambda config: None)  # test_recheck.py is about it

    def train_twice(sections: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        project.set(**sections)
        rows = (project.folder / "train.jsonl").read_text().splitlines(keepends=True)
        project.text("".join(rows[:40]), "few.jsonl")
        project.set(
            gate={"severity": {"DATA-102": "advice"}},  # of forty rows
            training={"max_steps": STEPS, "save_strategy": "steps", "save_steps": STOPPED, "eval_strategy": "no"},
        )
        config, run = str(project.clear()), project.folder / "run"
        assert main([config]) == 0
        whole = ended(run)

        shutil.rmtree(run / f"checkpoint-{STEPS}")
        for file in [*run.glob("*model.safetensors"), *run.glob("run-card.*")]:
            file.unlink()
        state = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(state | {"finished": False}))
        assert main([config]) == 0
        assert any(record.get("resumed") for record in records(run))
        return whole, ended(run)

    return train_twice


def records(run):
    return [json.loads(line) for line in (run / "run.jsonl").read_text().splitlines()]


def ended(run):
    """All that a run ends with, as numbers and tensors by name."""
    import torch
    from safetensors.torch import load_file

    last = run / f"checkpoint-{STEPS}"
    found = {
        f"step {record['step']} {key}": torch.tensor(record[key])
        for record in records(run)
        for key in ("loss", "grad_norm", "learning_rate")
        if key in record
    }
    found |= load_file(next(run.glob("*model.safetensors")))
    found |= dict(tensors(torch.load(last / "optimizer.pt")))
    return found | {"random": torch.load(last / "rng_state.pth", weights_only=False)["cpu"]}


def tensors(value, name="optimizer"):
    """The tensors somewhere in a state."""
    if hasattr(value, "shape"):
        yield name, value
    elif isinstance(value, dict | list | tuple):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from tensors(inner, f"{name}.{key}")


METHODS = [
    pytest.param({"lora": DROPOUT}, id="lora"),
    pytest.param({"quantization": NF4, "lora": DROPOUT, "training": PAGED}, id="qlora"),
    pytest.param({"lora": None, "training": {"learning_rate": 5e-5}}, id="full"),
    *(
        pytest.param(sections, id=name, marks=pytest.mark.drill)
        for name, sections in {
            "rslora": {"lora": DROPOUT | {"use_rslora": True}},
            "dora": {"lora": DROPOUT | {"use_dora": True}},
            "qdora": {"quantization": NF4, "lora": DROPOUT | {"use_dora": True}, "training": PAGED},
            "full-8bit": {
                "lora": None,
                "training": PAGED | {"learning_rate": 5e-5},
            },  # of small tensors it keeps 32 bits
            "packing": {"lora": DROPOUT, "training": {"packing": True}},
            "padding-free": {"lora": DROPOUT, "training": {"padding_free": True}},
            "checkpointing": {"lora": DROPOUT, "training": {"gradient_checkpointing": True}},
            "accumulation": {"lora": DROPOUT, "training": {"gradient_accumulation_steps": 3}},
            "bf16": {"lora": DROPOUT, "model": {"dtype": "bfloat16"}, "training": {"bf16": True}},
            "bf16-mixed": {"lora": DROPOUT, "training": {"bf16": True}},
            "two-steps-an-epoch": {
                "lora": DROPOUT,
                "data": {"train": "few.jsonl"},
                "training": {"per_device_train_batch_size": 20},
            },
            "group-by-length": {"lora": DROPOUT, "training": {"train_sampling_strategy": "group_by_length"}},
        }.items()
    ),
]


@pytest.mark.parametrize("sections", METHODS)
def test_every_method_ends_the_same_after_resuming(resume, sections):
    """To the last bit: a processor does the same arithmetic in the same order."""
    import torch

    whole, resumed = resume(sections)

    assert whole.keys() == resumed.keys()
    assert [name for name in whole if whole[name].dtype != resumed[name].dtype] == []
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []

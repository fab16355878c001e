"""The best checkpoint, not the last, is what ends up in the output folder."""

import json

import pytest
from safetensors.torch import load_file
from torch import equal
from transformers import TrainerCallback


class Spoil(TrainerCallback):
    """From step 5 on the adapter forgets all that it has learned."""

    def on_step_end(self, args, state, control, model=None, **_):
        if state.global_step >= 5:
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.data.zero_()


def test_the_best_adapter_ends_up_in_the_output_folder(project, fly):
    project.set(training={"max_steps": 10, "eval_strategy": "steps", "eval_steps": 2, "learning_rate": 5e-4})

    flight = fly(lambda trainer: trainer.add_callback(Spoil()))

    assert flight.code == 0, flight.screen
    held_out = {record["step"]: record["eval_loss"] for record in flight.records if "eval_loss" in record}
    best = min(held_out, key=held_out.get)
    assert best == 4
    assert sorted(path.name for path in flight.folder.glob("checkpoint-*")) == ["checkpoint-10", f"checkpoint-{best}"]
    saved, kept, last = (
        load_file(folder / "adapter_model.safetensors")
        for folder in (flight.folder, flight.folder / f"checkpoint-{best}", flight.folder / "checkpoint-10")
    )
    assert all(equal(saved[name], kept[name]) for name in kept)
    assert not all(equal(saved[name], last[name]) for name in last)
    assert f"run, step {best} of 10: the best on the validation data" in flight.screen
    assert json.loads((flight.folder / "run-card.json").read_text())["best"] == {
        "step": best,
        "metric": held_out[best],
    }


def test_a_quantized_model_keeps_the_precision_of_its_adapter(project, fly):
    """peft loads the best adapter in float32; TRL trained it in bfloat16."""
    pytest.importorskip("bitsandbytes")
    quantized = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float32"}
    training = {"max_steps": 4, "eval_strategy": "steps", "eval_steps": 2, "optim": "paged_adamw_8bit"}
    project.set(quantization=quantized, training=training)

    flight = fly(lambda trainer: trainer.add_callback(Spoil()))

    assert "paged_adamw_8bit: there is no card to page from, and bitsandbytes runs it unpaged" in flight.screen
    saved = load_file(flight.folder / "adapter_model.safetensors")
    last = load_file(flight.folder / "checkpoint-4" / "adapter_model.safetensors")
    assert {name: tensor.dtype for name, tensor in saved.items()} == {
        name: tensor.dtype for name, tensor in last.items()
    }

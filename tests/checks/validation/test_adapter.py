"""POST-101 and POST-102: what a run leaves behind, with real faults planted in what the trainer really wrote."""

import pytest
import torch
from safetensors.torch import load_file, save_file

WEIGHTS = "adapter_model.safetensors"


def change(folder, edit):
    """Rewrite the adapter's matrices."""
    tensors = load_file(folder / WEIGHTS)
    edit(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def zero_all(tensors):
    for name in tensors:
        if "lora_B" in name:
            tensors[name] = torch.zeros_like(tensors[name])


def zero_one(tensors):
    name = next(name for name in tensors if "layers.1" in name and "v_proj.lora_B" in name)
    tensors[name] = torch.zeros_like(tensors[name])


def one_nan(tensors):
    tensors[next(name for name in tensors if "lora_A" in name)][0, 0] = float("nan")


def one_infinite(tensors):
    tensors[next(name for name in tensors if "lora_B" in name)][0, 0] = float("inf")


def drop_one(tensors):
    del tensors[next(name for name in tensors if "lora_B" in name)]


def of_another_base(tensors):
    for name in tensors:
        tensors[name] = torch.ones(tensors[name].shape[0], tensors[name].shape[1] + 8)


def test_a_sound_adapter(flown):
    run = flown.gate("-k", "POST-101 or POST-102", stage="postflight")

    assert (run.outcome("POST-101"), run.outcome("POST-102")) == ("passed", "passed"), run.screen
    assert run.check("POST-102")["evidence"]["matrices"] == 16


@pytest.mark.parametrize(
    "edit, count, message",
    [
        pytest.param(zero_all, 8, "is still zero", id="all B matrices zero"),
        pytest.param(zero_one, 1, "is still zero", id="one B matrix zero"),
        pytest.param(drop_one, 1, "is still zero", id="one B matrix missing"),
        pytest.param(one_nan, 1, "has NaN or infinite values", id="a NaN"),
        pytest.param(one_infinite, 1, "has NaN or infinite values", id="an infinity"),
        pytest.param(of_another_base, 1, "does not load on its base", id="of another base"),
    ],
)
def test_matrices_that_are_of_no_use(flown, edit, count, message):
    change(flown.folder / "run", edit)

    run = flown.gate("-k", "POST-102", stage="postflight")

    assert run.outcome("POST-102") == "failed", run.screen
    assert len(run.findings("POST-102")) == count
    for finding in run.findings("POST-102"):
        assert message in finding["message"]
        assert "\n" not in finding["message"]
        assert finding["where"].endswith(WEIGHTS)
        assert "config.yaml again" in finding["fix"] or "Train again" in finding["fix"]


@pytest.mark.parametrize(
    "name, text",
    [
        pytest.param(WEIGHTS, "not safetensors", id="weights cut off"),
        pytest.param("adapter_config.json", "{", id="config cut off"),
        pytest.param(
            "adapter_config.json", '{"peft_type": "LORA", "target_modules": 7}', id="config that makes no sense"
        ),
    ],
)
def test_files_that_are_damaged(flown, name, text):
    (flown.folder / "run" / name).write_text(text)

    run = flown.gate("-k", "POST-102", stage="postflight")

    assert run.outcome("POST-102") == "failed", run.screen
    assert "does not load on its base" in run.findings("POST-102")[0]["message"]


@pytest.mark.parametrize("name", ["adapter_config.json", WEIGHTS])
def test_without_the_adapter_nothing_can_be_judged(flown, name):
    (flown.folder / "run" / name).unlink()

    run = flown.gate("-k", "POST-101 or POST-102 or POST-105", stage="postflight")

    assert run.outcome("POST-101") == "failed"
    assert run.findings("POST-101")[0]["message"] == f"{name} is missing"
    for code in ("POST-102", "POST-105"):
        assert run.outcome(code) == "not-available"
        assert "run `preflight train config.yaml` first" in run.check(code)["reason"]
    assert run.code == 1


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "run-card.json"])
def test_a_companion_that_is_missing(flown, name):
    (flown.folder / "run" / name).unlink()

    run = flown.gate("-k", "POST-101", stage="postflight")

    (finding,) = run.findings("POST-101")
    assert run.outcome("POST-101") == "failed"
    assert finding["message"] == f"{name} is missing"
    assert finding["where"] == str(flown.folder / "run")
    assert finding["fix"] == "Run preflight train config.yaml, which saves it."


def test_an_expert_that_saw_no_token_is_no_fault(flown):
    """A mixture of experts trains what its router chooses; the names of this adapter are made to look like one."""
    from preflight.checks.validation import adapter_loads

    matrices = {"base.layers.0.mlp.experts.3.up_proj.lora_B.default.weight": torch.zeros(4, 4)}

    class Request:
        @staticmethod
        def getfixturevalue(name):
            model = type("Model", (), {"named_parameters": lambda self: matrices.items()})()
            return type("Trained", (), {"model": model})()

    config = type("Config", (), {"lora": {}, "output_dir": flown.folder / "run"})()
    adapter_loads.the_adapter_loads_on_its_base_and_has_learned(config, Request, lambda *_, **__: None)


def test_the_checkpoints_have_the_size_that_was_reckoned(flown):
    """HW-101 reckons 12 bytes a trained parameter and 16 MiB beside: too little is a miss, far more a false alarm."""
    checkpoints = sorted((flown.folder / "run").glob("checkpoint-*"))
    size = sum(path.stat().st_size for path in checkpoints[0].rglob("*"))

    reckoned = flown.gate("-k", "HW-101").check("HW-101")["evidence"]

    assert len(checkpoints) == reckoned["checkpoints"] == 2
    assert size < reckoned["needed_bytes"] / 3 < size + 16 * 2**20


def test_full_fine_tuning(fly):
    project = fly("full", lora=None, training={"max_steps": 6, "learning_rate": 1e-4, "save_strategy": "no"})

    run = project.gate("-k", "POST-101 or POST-102 or POST-105", stage="postflight")
    assert run.outcome("POST-101") == "passed", run.screen
    assert run.outcome("POST-102") == "not-applicable"
    assert run.outcome("POST-105") == "passed", run.screen

    (project.folder / "run" / "model.safetensors").unlink()
    run = project.gate("-k", "POST-101 or POST-105", stage="postflight")
    assert run.findings("POST-101")[0]["message"] == "model.safetensors is missing"
    assert run.outcome("POST-105") == "not-available"
    assert "no .safetensors weights" in run.check("POST-105")["reason"]

"""POST-126: no pickles where the weights lie."""

import pytest

from preflight.checks.validation import safetensors_only
from preflight.config import load_config


@pytest.fixture
def judged(project, judge):
    """Judge an output folder with these files."""

    def findings(*names):
        for name in names:
            path = project.folder / "run" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"0" * 10)
        return judge(safetensors_only.the_weights_are_saved_as_safetensors_alone, config=load_config(project.write()))

    return findings


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["adapter_model.safetensors"], id="an adapter"),
        pytest.param(["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], id="a model"),
        pytest.param(
            [
                *("adapter_model.safetensors", "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state_1.pth"),
                *("scaler.pt", "checkpoint-4/optimizer.bin", "checkpoint-4/pytorch_model.bin", "trainer_state.json"),
            ],
            id="what trainers keep",
        ),
        pytest.param(["adapter_model.safetensors", "tokenizer.model", "vocab.txt", "merges.txt"], id="a tokenizer"),
        pytest.param([], id="nothing"),
    ],
)
def test_no_pickle(judged, names):
    assert judged(*names) == []


@pytest.mark.parametrize(
    "name",
    ["adapter_model.bin", "pytorch_model-00001-of-00002.bin", "consolidated.00.pth", "last.ckpt", "a.pkl", "b.PT"],
)
def test_a_pickle_beside_the_weights(judged, name):
    (finding,) = judged("adapter_model.safetensors", name)

    assert finding.message == f"{name} lies beside safetensors weights"
    assert finding.fix == f"Delete {name}."


def test_a_pickle_in_their_place(judged):
    (finding,) = judged("adapter_model.bin", "training_args.bin")

    assert finding.message == "adapter_model.bin lies in place of safetensors weights"
    assert "save_file" in finding.fix
    assert "'adapter_model.safetensors'" in finding.fix
    assert "weights_only=True" in finding.fix


def test_what_the_fix_says_works(judged, tmp_path, monkeypatch):
    """The lines of the fix, on a real file: the adapter that comes of it is the same."""
    import safetensors.torch
    import torch

    (finding,) = judged("adapter_model.bin")
    torch.save({"a": torch.ones(2), "b": torch.zeros(3, 3).T}, tmp_path / "adapter_model.bin")
    monkeypatch.chdir(tmp_path)
    line = finding.fix.partition(": ")[2].rpartition("; then")[0]
    first, second = line.split("; ")
    assert first == "weights = torch.load('adapter_model.bin', map_location='cpu', weights_only=True)"
    assert second.startswith("safetensors.torch.save_file({name: value.contiguous().clone() for name, value in ")

    weights = torch.load("adapter_model.bin", map_location="cpu", weights_only=True)
    kept = {name: value.contiguous().clone() for name, value in weights.items()}
    safetensors.torch.save_file(kept, "adapter_model.safetensors", metadata={"format": "pt"})
    assert set(safetensors.torch.load_file("adapter_model.safetensors")) == {"a", "b"}


def test_the_runs_own(flown):
    run = flown.gate("-k", "POST-126", stage="postflight")

    assert run.outcome("POST-126") == "passed", run.screen

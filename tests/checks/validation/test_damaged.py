"""POST-102: a file that was cut off, and a base that isn't the adapter's, are findings and no errors."""

import json
import shutil

import pytest

WEIGHTS = "adapter_model.safetensors"


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(lambda size: 0, id="nothing"),
        pytest.param(lambda size: 4, id="half of the length of the header"),
        pytest.param(lambda size: 200, id="half of the header"),
        pytest.param(lambda size: size // 2, id="half of the matrices"),
        pytest.param(lambda size: size - 1, id="all but a byte"),
    ],
)
def test_a_file_that_was_cut_off(flown, left):
    path = flown.folder / "run" / WEIGHTS
    path.write_bytes(path.read_bytes()[: left(path.stat().st_size)])

    run = flown.gate("-k", "POST-102 or POST-120 or POST-121 or POST-125", stage="postflight")

    assert run.outcome("POST-102") == "failed", run.screen
    assert "does not load on its base" in run.findings("POST-102")[0]["message"]
    for code in ("POST-120", "POST-121"):
        assert run.outcome(code) == "not-available", run.screen


def other_base(folder, tiny, **sizes):
    """A model like the tiny one, of other sizes."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = AutoConfig.from_pretrained(tiny)
    for key, value in sizes.items():
        setattr(settings, key, value)
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(settings).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(tiny / name, folder / name)


@pytest.mark.parametrize(
    "sizes, message",
    [
        pytest.param({"hidden_size": 64}, "does not load on its base", id="wider"),
        pytest.param({"num_hidden_layers": 3}, "is still zero", id="deeper"),
        pytest.param({"num_hidden_layers": 1}, None, id="less deep"),
    ],
)
def test_another_base(flown, tiny, sizes, message):
    """On a base with fewer layers peft loads what fits, and says nothing: POST-120 does."""
    other_base(flown.folder / "other", tiny, **sizes)
    flown.set(model={"name_or_path": "other"})

    run = flown.gate("-k", "POST-102 or POST-120 or POST-123", stage="postflight")

    assert run.outcome("POST-102") == ("failed" if message else "passed"), run.screen
    assert run.outcome("POST-120") == "failed", run.screen
    assert run.outcome("POST-123") == "failed", run.screen
    if message:
        assert message in run.findings("POST-102")[0]["message"]


def test_another_kind_of_adapter(flown):
    path = flown.folder / "run" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "peft_type": "NO_SUCH_KIND"}))

    run = flown.gate("-k", "POST-102 or POST-120", stage="postflight")

    assert run.outcome("POST-102") == run.outcome("POST-120") == "failed", run.screen

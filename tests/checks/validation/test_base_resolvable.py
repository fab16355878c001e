"""POST-123: what the adapter calls its base."""

import json
import shutil

import pytest

from preflight.checks.validation import base_resolvable
from preflight.config import load_config
from preflight.findings import NotApplicable


@pytest.fixture
def judged(project, judge):
    """Judge an adapter that names its base so."""

    def findings(named, theirs=None, **model):
        config = load_config(project.set(model=model).write())
        (project.folder / "run").mkdir(exist_ok=True)
        saved = {"base_model_name_or_path": named, "revision": theirs}
        (project.folder / "run" / "adapter_config.json").write_text(json.dumps(saved))
        return judge(base_resolvable.the_adapter_names_the_base_it_was_trained_on, config=config)

    return findings


@pytest.fixture
def hub(project, tiny, tmp_path, monkeypatch):
    """A hub cache that holds the tiny model as org/tiny."""
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    folder = cache / "models--org--tiny"
    shutil.copytree(tiny, folder / "snapshots" / ("a" * 40))
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return folder / "snapshots" / ("a" * 40)


def test_the_runs_own(flown):
    run = flown.gate("-k", "POST-123", stage="postflight")

    assert run.outcome("POST-123") == "passed", run.screen
    assert run.check("POST-123")["summary"].endswith("a folder of this machine")


def test_the_same_folder_by_other_names(judged, model, project):
    for named in (str(model), "model", "./model", str(project.folder / "run" / ".." / "model")):
        assert judged(named) == []


def test_a_copy_of_the_same_model(judged, tiny, model):
    assert judged(str(tiny)) == []


def test_another_model_of_the_same_shape(judged, tiny, model):
    import torch
    from safetensors.torch import load_file, save_file

    held = load_file(model / "model.safetensors")
    held["model.norm.weight"] = torch.zeros_like(held["model.norm.weight"])
    save_file(held, model / "model.safetensors", metadata={"format": "pt"})

    (finding,) = judged(str(tiny))
    assert finding.message == "the adapter names another base than the config"
    assert finding.fix == 'Write "base_model_name_or_path": "model" into it.'


@pytest.mark.parametrize("named", [None, "", "  ", 7])
def test_no_name(judged, named, model):
    (finding,) = judged(named)

    assert "does not say what its base model is" in finding.message
    assert '"model"' in finding.fix


@pytest.mark.parametrize("named", ["/workspace/models/llama", "./gone", "~/gone", "a/b/c", "gone"])
def test_a_folder_that_is_gone(judged, named):
    (finding,) = judged(named)

    assert finding.message == f"the adapter's base {named} is not there"


def test_a_name_on_the_hub(judged):
    assert judged("org/tiny", name_or_path="org/tiny") == []
    assert judged("org/tiny", name_or_path="Org/Tiny") == []


def test_another_name_on_the_hub(judged):
    (finding,) = judged("org/other-bnb-4bit", name_or_path="org/other")

    assert (finding.observed, finding.expected) == ("org/other-bnb-4bit", "org/other")


def test_a_copy_of_what_the_adapter_names_on_the_hub(judged, hub):
    assert judged("org/tiny") == []
    assert judged("org/never-seen-here") == []  # can't be told

    (hub / "model.safetensors").write_bytes(b"something else")
    assert [finding.message for finding in judged("org/tiny")] == ["the adapter names another base than the config"]


@pytest.mark.parametrize(
    "theirs, ours, fires",
    [
        pytest.param(None, "main", False, id="not said"),
        pytest.param("main", None, False, id="not asked for"),
        pytest.param("main", "main", False, id="the same"),
        pytest.param("v1", "v2", True, id="another"),
    ],
)
def test_the_revision(judged, model, theirs, ours, fires):
    findings = judged("model", theirs, revision=ours)

    assert len(findings) == fires
    for finding in findings:
        assert '"revision": "v2"' in finding.fix


def test_full_fine_tuning(project, judge):
    with pytest.raises(NotApplicable):
        judge(
            base_resolvable.the_adapter_names_the_base_it_was_trained_on,
            config=load_config(project.set(lora=None).write()),
        )


def test_an_adapter_of_a_model_of_the_hub_names_the_hub(project, hub):
    """And no folder of this machine's cache."""
    from peft import get_peft_model

    from preflight.config import load_config
    from preflight.model import build

    config = load_config(project.set(model={"name_or_path": "org/tiny"}).write())
    model = get_peft_model(build.load_base(config), build.lora_config(config))

    assert model.peft_config["default"].base_model_name_or_path == "org/tiny"

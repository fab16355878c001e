"""Where a model's files are looked for, and what is said when they aren't there or make no sense."""

import json

import pytest

from preflight.config import load_config
from preflight.findings import NotAvailable
from preflight.model import build, files


@pytest.fixture
def config(project):
    """The project's config as it stands, loaded."""
    return lambda **sections: load_config(project.set(**sections).write())


def test_a_folder_is_taken_relative_to_the_config(model, config):
    assert files.folder_of(config()) == model


@pytest.mark.parametrize(
    "section, message",
    [
        pytest.param({"name_or_path": "./none"}, "model.name_or_path: the folder ./none does not exist", id="missing"),
        pytest.param({"name_or_path": "/none/x"}, "model.name_or_path: the folder /none/x", id="absolute"),
        pytest.param({"name_or_path": "~/none-x"}, "model.name_or_path: the folder ~/none-x", id="at home"),
        pytest.param({"name_or_path": "none"}, "model.name_or_path: the folder none does not exist", id="one word"),
        pytest.param({"name_or_path": "a/b/c"}, "model.name_or_path: the folder a/b/c does not exist", id="deep"),
        pytest.param({"name_or_path": "train.jsonl"}, "model.name_or_path: train.jsonl is a file", id="a file"),
        pytest.param({"name_or_path": "nobody/none"}, "model.name_or_path: nobody/none is not a folder here", id="hub"),
        pytest.param({"name_or_path": "nobody/no--ne"}, "model.name_or_path: nobody/no--ne", id="no possible hub id"),
        pytest.param({"tokenizer": "./none"}, "model.tokenizer: the folder ./none does not exist", id="tokenizer"),
        pytest.param({"tokenizer": "nobody/none"}, "model.tokenizer: nobody/none is not a folder", id="hub tokenizer"),
    ],
)
def test_a_name_that_leads_nowhere_is_said_in_one_line(config, section, message):
    loaded = config(model=section)

    with pytest.raises(files.ModelFilesError) as caught:
        files.tokenizer_folder(loaded)

    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_models_revision_is_not_the_tokenizers(config, monkeypatch):
    asked = []
    monkeypatch.setattr(files, "_snapshot", lambda *arguments: asked.append(arguments))
    loaded = config(model={"name_or_path": "us/model", "tokenizer": "us/words", "revision": "abc"})

    files.folder_of(loaded)
    files.tokenizer_folder(loaded)

    assert asked == [("us/model", "abc", "model.name_or_path"), ("us/words", None, "model.tokenizer")]


@pytest.mark.parametrize(
    "text, message",
    [
        pytest.param(None, "no config.json in", id="missing"),
        pytest.param("{", "not JSON", id="cut off"),
        pytest.param("", "not JSON", id="empty"),
        pytest.param("[1]", "must hold an object", id="a list"),
    ],
)
def test_a_config_json_that_is_none(model, config, text, message):
    (model / "config.json").unlink()
    if text is not None:
        (model / "config.json").write_text(text)

    with pytest.raises(files.ModelFilesError, match=message):
        files.model_config(config())


@pytest.mark.parametrize(
    "generation, own, eos, stops",
    [
        pytest.param({"eos_token_id": 7}, 2, 2, {2, 7}, id="one"),
        pytest.param({"eos_token_id": [7, 8]}, 2, 2, {2, 7, 8}, id="a list"),
        pytest.param({}, 3, 2, {2, 3}, id="not in the generation config: the model's own"),
        pytest.param(None, 3, 2, {2, 3}, id="no generation config"),
        pytest.param(None, [3, 4], 2, {2, 3, 4}, id="a list in the model's own"),
        pytest.param({"eos_token_id": 7}, 3, 2, {2, 7}, id="the generation config wins"),
        pytest.param({"eos_token_id": None}, None, 2, {2}, id="null in both"),
        pytest.param(None, None, None, set(), id="none at all"),
        pytest.param({"eos_token_id": 0}, None, None, {0}, id="zero is an id"),
    ],
)
def test_stop_ids(model, config, generation, own, eos, stops):
    settings = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**settings, "eos_token_id": own}))
    (model / "generation_config.json").unlink()
    if generation is not None:
        (model / "generation_config.json").write_text(json.dumps(generation))

    assert files.stop_ids(config(), eos) == stops


def test_a_generation_config_that_is_none_is_said(model, config):
    (model / "generation_config.json").write_text("{")

    with pytest.raises(files.ModelFilesError, match=r"generation_config\.json: not JSON"):
        files.stop_ids(config(), 2)


@pytest.mark.parametrize(
    "damage, message",
    [
        pytest.param("model.safetensors", "only safetensors are loaded", id="a pickle only"),
        pytest.param(None, "can't be loaded", id="weights cut off"),
    ],
)
def test_weights_that_are_not_loaded(model, config, damage, message):
    weights = model / "model.safetensors"
    if damage:
        weights.rename(model / "pytorch_model.bin")
    else:
        weights.write_bytes(weights.read_bytes()[:-1000])

    with pytest.raises(NotAvailable, match=message):
        build.load_base(config())
    assert [path.name for path in files.weight_files(config())] == ([] if damage else ["model.safetensors"])


def test_a_template_that_is_not_there(config):
    with pytest.raises(files.ModelFilesError, match=r"model\.chat_template: none\.jinja is not a \.jinja file"):
        files.template_file(config(model={"chat_template": "none.jinja"}))

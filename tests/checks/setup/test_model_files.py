"""CFG-110: a model's folder that is not there, not whole, or in a format that is refused."""

import json
import shutil

import pytest
from safetensors.numpy import load_file, save_file

from preflight.config import load_config

INDEX = "model.safetensors.index.json"


def shard(folder):
    """Write the weights as two shards with their index."""
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    shards = {"model-1.safetensors": names[:5], "model-2.safetensors": names[5:]}
    for file, members in shards.items():
        save_file({name: tensors[name] for name in members}, folder / file, metadata={"format": "pt"})
    weight_map = {name: file for file, members in shards.items() for name in members}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (folder / "model.safetensors").unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def pickle_only(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def one_shard_missing(folder):
    shard(folder)
    (folder / "model-2.safetensors").unlink()


def one_shard_cut(folder):
    shard(folder)
    cut(folder / "model-1.safetensors")


def broken_index(folder):
    shard(folder)
    (folder / INDEX).write_text("[]")


def pointer(folder):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 6358912\n"
    (folder / "model.safetensors").write_text(text)


@pytest.mark.parametrize(
    "damage, message, fix",
    [
        pytest.param(pickle_only, "pytorch_model.bin, and only safetensors", "save_pretrained", id="a pickle only"),
        pytest.param(lambda f: (f / "model.safetensors").unlink(), "no model.safetensors in", "lfs", id="no weights"),
        pytest.param(lambda f: cut(f / "model.safetensors"), "not a whole safetensors", "lfs", id="cut off"),
        pytest.param(pointer, "model.safetensors is not a whole safetensors file", "git lfs pull", id="a pointer"),
        pytest.param(one_shard_missing, "model-2.safetensors is missing", "lfs", id="a shard is missing"),
        pytest.param(one_shard_cut, "model-1.safetensors is not a whole", "lfs", id="a shard is cut off"),
        pytest.param(broken_index, f"{INDEX} can't be read", "lfs", id="an index that is none"),
        pytest.param(lambda f: (f / "config.json").unlink(), "no config.json", "holds config.json", id="no config"),
        pytest.param(lambda f: (f / "config.json").write_text("{"), "not JSON", "holds config.json", id="not JSON"),
        pytest.param(lambda f: (f / "config.json").write_text("[]"), "must hold an object", "config.json", id="a list"),
        pytest.param(lambda f: (f / "config.json").write_text("{}"), "names no model_type", "own file", id="no type"),
    ],
)
def test_a_folder_that_is_not_whole(model, expect, damage, message, fix):
    damage(model)

    (finding,) = expect("CFG-110", "failed")

    assert message in finding["message"]
    assert fix in finding["fix"]


@pytest.mark.parametrize(
    "name, message",
    [
        pytest.param("./nowhere", "the folder ./nowhere does not exist", id="no such folder"),
        pytest.param("train.jsonl", "train.jsonl is a file", id="a file"),
        pytest.param("nobody/no-such-model", "can't be had from the hub", id="a hub id, offline"),
    ],
)
def test_a_name_that_leads_nowhere(project, expect, name, message):
    (finding,) = project.set(model={"name_or_path": name}) and expect("CFG-110", "failed")

    assert message in finding["message"]
    assert "Traceback" not in finding["message"]
    assert finding["where"] == load_config(project.folder / "config.yaml").where("model.name_or_path")


def test_an_adapter_in_the_place_of_its_base(model, expect):
    (model / "config.json").unlink()
    (model / "adapter_config.json").write_text("{}")

    assert "name the base model" in expect("CFG-110", "failed")[0]["fix"]


@pytest.mark.parametrize(
    "change, files",
    [
        pytest.param(lambda f: None, 1, id="one file"),
        pytest.param(shard, 2, id="shards"),
        pytest.param(lambda f: shutil.copy(f / "model.safetensors", f / "pytorch_model.bin"), 1, id="a pickle beside"),
        pytest.param(lambda f: (f / "generation_config.json").unlink(), 1, id="no generation config"),
    ],
)
def test_a_whole_folder(project, model, change, files):
    change(model)

    run = project.gate("-k", "CFG-110")

    assert run.outcome("CFG-110") == "passed", run.screen
    assert run.check("CFG-110")["evidence"]["files"] == files

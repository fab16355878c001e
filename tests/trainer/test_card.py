"""The run card and the model card: what a run was, whole, and in Markdown that no name can break."""

import json
import math
import subprocess
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from huggingface_hub import ModelCard

from preflight.config import load_config
from preflight.flight import Log
from preflight.trainer import card, model_card, recheck
from preflight.trainer.run import main

SHA = "0" * 64
STATEMENT = {"subject": [{"name": name, "digest": {"sha256": SHA}} for name in ("config", "train.jsonl")]}
HOSTILE = [
    "a | b || c",
    "`code` and ``more``",
    "line\nbreak\r\nand\u2028others",
    "# title\n---\ntags: [x]\n---",
    "```\nout of the block",
    "<script>alert(1)</script> & [link](https://example.org) ![](x) ~~gone~~",
    "_under_ *stars* __both__ \\ back",
    "{{ 7 * 7 }} {% raw %}",
    "\u202eoverride \x00 \x1b[31m",
    "|",
    "`",
]


@pytest.fixture
def facts(project):
    """`facts(records, **sections)`: the card of a run with this log."""

    def made(*records, monitors=(), **sections):
        config = load_config(project.set(**sections).write())
        split = SimpleNamespace(rows=600)
        data = SimpleNamespace(key=SHA, sources=[{"name": "train.jsonl", "sha256": SHA, "rows": 600}])
        data.splits = {"train": split}
        settings = {"learning_rate": 2e-4, "optim": "adamw_torch", "hub_token": "<HUB_TOKEN>", "output_dir": "/x"}
        arguments = SimpleNamespace(seed=42, to_dict=lambda: settings)
        started = datetime.now(UTC)
        return card.facts(config, data, STATEMENT, arguments, Log(records), started=started, monitors=monitors)

    return made


def step(number, **more):
    return {"step": number, "loss": 3 - number / 10, "learning_rate": 1e-4, "grad_norm": 0.5, **more}


def test_a_trained_run_leaves_its_cards(project, monkeypatch):
    """By the trainer itself: nothing of peft's own card is left, and the hub's parser reads ours."""
    monkeypatch.setattr(recheck, "start", lambda config: None)
    monkeypatch.setattr(ModelCard, "validate", lambda *_, **__: pytest.fail("asks the network"))
    project.set(training={"max_steps": 3})

    assert main([str(project.clear())]) == 0

    run = project.folder / "run"
    found = json.loads((run / "run-card.json").read_text())
    statement = json.loads((run / "preflight" / "clearance.json").read_text())
    assert found["digests"] == {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    assert {"config", "train.jsonl", "prepared train"} <= found["digests"].keys()
    assert any(name.endswith("model.safetensors") for name in found["digests"])
    assert found["effective_training"]["lr_scheduler_type"] == "linear"
    assert not {"hub_token", "push_to_hub_token", "output_dir"} & found["effective_training"].keys()
    for key in ("loss", "learning_rate", "grad_norm"):
        assert [number for number, _ in found[key]] == [1, 2, 3], key
    assert len(found["eval_loss"]) == 1
    assert found["measured"]["tokens_per_second"] > 0
    assert found["hardware"]["processes"] == found["hardware"]["nodes"] == 1
    assert {"code", "name", "outcome", "summary"} == found["monitors"][0].keys()
    assert found["resumed"] == 0
    assert found["started"] <= found["finished"]

    read = ModelCard.load(run / "README.md")
    assert read.data.to_dict() == {
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "trl", "sft", "preflight"],
    }
    assert str(read) == (run / "README.md").read_text()
    assert "More Information Needed" not in read.text
    assert str(project.folder) not in read.text
    assert not (run / "runs").exists()  # what TensorBoard would write


def test_a_resumed_run_says_so_and_when_it_really_began(facts):
    found = facts(step(1, time=1700000000.0), {"step": 1, "resumed": True}, {"step": 1, "resumed": True}, step(2))

    assert found["resumed"] == 2
    assert found["started"] == "2023-11-14T22:13:20+00:00"
    assert "resumed 2 times |" in model_card.markdown(found)


@pytest.mark.parametrize(
    "records, words",
    [
        ([], ["Loss | not logged |", "Validation loss | not evaluated |", "Energy | not measured |"]),
        ([step(1), step(2)], ["Loss | 2.900 to 2.800 in 2 steps |", "Speed | not measured |"]),
        ([step(1, loss=math.nan)], ["Loss | nan to nan in 1 steps |"]),
        ([{"step": 1, "eval_loss": 2.5}, {"step": 2, "eval_loss": 2.75}], ["2.750 at the end, best 2.500"]),
        ([step(1, energy_wh=1.5), step(2, energy_wh=2.0)], ["Energy | 3.5 Wh |"]),
    ],
)
def test_the_run_at_a_glance(facts, records, words):
    text = model_card.markdown(facts(*records))

    assert [word for word in words if word not in text] == []


def test_a_card_of_a_run_that_went_wrong_is_json_all_the_same(facts, tmp_path):
    found = facts(step(1, loss=math.nan, grad_norm=math.inf))
    card.document.write(found, tmp_path / "card.json")

    assert json.loads((tmp_path / "card.json").read_text())["loss"] == [[1, None]]


def test_a_card_of_a_long_run_stays_small(facts):
    found = facts(*(step(number) for number in range(1, 20_001)))

    assert len(json.dumps(found)) < 150_000
    assert (found["loss"][0][0], found["loss"][-1][0]) == (1, 20_000)


FOUR_BIT = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}


@pytest.mark.parametrize(
    "sections, tags, words",
    [
        pytest.param({}, ["lora"], "A LoRA adapter for", id="lora"),
        pytest.param({"lora": {"use_dora": True}}, ["lora", "dora"], "A DoRA adapter for", id="dora"),
        pytest.param({"lora": {"use_rslora": True}}, ["lora", "rslora"], "A rsLoRA adapter for", id="rslora"),
        pytest.param({"quantization": FOUR_BIT}, ["lora", "qlora"], "A LoRA (4-bit base) adapter for", id="qlora"),
        pytest.param({"lora": None}, [], "A full fine-tune of", id="full"),
    ],
)
def test_the_hub_can_search_by_method(facts, sections, tags, words):
    found = facts(**sections)
    read = ModelCard(model_card.with_metadata(found))

    assert read.data.tags == [*tags, "trl", "sft", "preflight"]
    assert read.data.library_name == ("peft" if "lora" in tags else "transformers")
    assert words in read.text


@pytest.mark.parametrize(
    "name, base",
    [
        ("org/model-7b", "org/model-7b"),
        ("model", None),
        ("./org/model", None),
        ("/models/org", None),
        ("~/model", None),
        ("here/model", None),
    ],
)
def test_only_a_hub_id_is_given_as_base_model(facts, project, name, base):
    (project.folder / "here" / "model").mkdir(parents=True)
    found = facts(model={"name_or_path": name})
    read = ModelCard(model_card.with_metadata(found))

    assert read.data.base_model == base
    assert base or "(a local folder)" in read.text
    assert "/models/" not in read.text


def test_only_hub_ids_are_given_as_datasets(facts):
    found = facts(data={"train": ["train.jsonl", "org/chats", "org/chats/fr/train"], "validation": "org/held-out"})

    assert ModelCard(model_card.with_metadata(found)).data.datasets == ["org/chats", "org/held-out"]


@pytest.mark.parametrize(
    "readme, license",
    [
        ("---\nlicense: apache-2.0\n---\n# Base\n", {"license": "apache-2.0"}),
        (
            "---\nlicense: other\nlicense_name: own\nlicense_link: LICENSE\n---\n",
            {"license": "other", "license_name": "own"},
        ),
        (
            "---\nlicense: other\nlicense_link: https://example.org/l\n---\n",
            {"license": "other", "license_link": "https://example.org/l"},
        ),
        ("---\nlicense: [mit, other]\n---\n", {}),
        ("---\nlicense: [\n---\n", {}),
        ("---\njust words\n---\n", {}),
        ("# No metadata\n", {}),
        ("\ud83d", {}),
        (None, {}),
    ],
)
def test_the_license_is_the_one_that_the_base_models_card_records(facts, model, readme, license):
    if readme is not None:
        (model / "README.md").write_bytes(readme.encode("utf-8", "surrogatepass"))

    data = ModelCard(model_card.with_metadata(facts())).data.to_dict()

    assert {key: value for key, value in data.items() if key.startswith("license")} == license


def shape(text):
    """Kinds of all blocks and inline elements of a Markdown text, and the text that is in them."""
    markdown_it = pytest.importorskip("markdown_it")
    tokens = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    kinds = [token.type for token in tokens]
    return kinds, [[child.type for child in token.children] for token in tokens if token.type == "inline"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_the_markdown(facts, name):
    """Whatever the names, the card has the very elements that it has with harmless ones."""

    def written(word):
        monitor = {"code": "USER-101", "name": word, "outcome": "passed", "summary": word}
        found = facts(step(1), monitors=[monitor])
        found["name"] = word
        found["digests"] = {word: SHA}
        found["config"]["lora"]["target_modules"] = [word]
        found["config"]["model"]["name_or_path"] = f"x{word}"
        found["config"]["training"]["run_name"] = word
        found["git"]["in_words"] = word
        found["reproduce"] = card.commands(word, {"commit": None}, {}, {"processes": 1, "nodes": 1})
        return ModelCard(model_card.with_metadata(found))

    hostile, harmless = written(name), written("harmless")

    assert hostile.data.to_dict() == harmless.data.to_dict()
    assert shape(hostile.text) == shape(harmless.text)
    assert not any(c in hostile.text for c in "\u202e\u2028\x00\x1b\r")


def git(folder, *arguments):
    who = [
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@example.org",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "tag.gpgsign=false",
    ]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_git_in_words(tmp_path):
    config = tmp_path / "my config.yaml"
    config.write_text("a: 1\n")
    assert card.git(config) == {
        "commit": None,
        "tag": None,
        "dirty": None,
        "config_tracked": None,
        "in_words": "the config lies in no git repository",
    }

    git(tmp_path, "init")
    assert card.git(config)["in_words"] == "no commit yet"

    (tmp_path / "other").write_text("1")
    git(tmp_path, "add", "other")
    git(tmp_path, "commit", "-m", "first")
    found = card.git(config)
    assert found["in_words"] == f"commit {found['commit']}, no tag, the config is not in it"

    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "second")
    git(tmp_path, "tag", "v1")
    found = card.git(config)
    assert found["in_words"] == f"commit {found['commit']}, tag v1"
    assert (found["tag"], found["dirty"], found["config_tracked"]) == ("v1", False, True)

    config.write_text("a: 2\n")
    (tmp_path / "run").mkdir()
    assert card.git(config)["in_words"].endswith("tag v1, files differ from it")


@pytest.mark.parametrize(
    "processes, nodes, train",
    [
        (1, 1, "preflight train 'my config.yaml'"),
        (4, 1, "torchrun --nnodes 1 --nproc_per_node 4 -m preflight.trainer 'my config.yaml'"),
        (16, 2, "torchrun --nnodes 2 --nproc_per_node 8 -m preflight.trainer 'my config.yaml'"),
    ],
)
def test_how_to_make_it_again(processes, nodes, train):
    hardware = {"processes": processes, "nodes": nodes}
    versions = {"torch": "2.13.0+cu130", "trl": "1.16.0"}

    assert card.commands("my config.yaml", {"commit": "abc"}, versions, hardware) == [
        "git checkout abc",
        "pip install torch==2.13.0 trl==1.16.0",
        "pytest --preflight 'my config.yaml'",
        train,
        "pytest --postflight 'my config.yaml'",
    ]


def test_cards_drivers_and_nodes_in_a_line():
    gpu = {"name": "NVIDIA A100", "memory": 80 * 2**30}
    found = {"gpus": [gpu, gpu], "driver": "580.1", "cuda": "13.0", "cores": 64, "memory": 512 * 2**30}

    assert model_card.hardware(found | {"processes": 4, "nodes": 2}) == (
        "2 x NVIDIA A100 (80 GiB), driver 580.1, CUDA 13.0, 64 cores, 512 GiB of memory, 4 processes, "
        "2 nodes such as this"
    )

"""`preflight init`: what it writes loads, says what was found, and passes its own gate."""

import csv
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from preflight import init, init_text
from preflight.checks.data_quality.size import SIZES
from preflight.cli import main
from preflight.config import Config, load_config

NOUNS = ("lamp", "kettle", "bicycle", "radio", "tent", "violin", "camera", "ladder", "compass", "umbrella")


def asked(number: int) -> str:
    return f"How do I look after my {NOUNS[number % 10]}? It is number {number}."


def answered(number: int) -> str:
    return f"For the {NOUNS[number % 10]}, take part {number} and follow step {number + 1}."


SHAPES: dict[str, Callable[[int], dict[str, Any]]] = {
    "messages": lambda n: {
        "messages": [{"role": "user", "content": asked(n)}, {"role": "assistant", "content": answered(n)}]
    },
    "sharegpt": lambda n: {
        "conversations": [{"from": "human", "value": asked(n)}, {"from": "gpt", "value": answered(n)}]
    },
    "alpaca": lambda n: {"instruction": asked(n), "input": "", "output": answered(n)},
    "prompt-completion": lambda n: {"prompt": asked(n) + "\n", "completion": answered(n)},
    "text": lambda n: {"text": f"{asked(n)} {answered(n)}"},
}


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def write_shape(folder: Path, shape: str = "messages", count: int = 600) -> str:
    return write_rows(folder / "train.jsonl", [SHAPES[shape](number) for number in range(count)])


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def start(tiny: Path) -> Callable[..., Config]:
    """Run `preflight init` and load what it wrote."""

    def run(data: str, *arguments: str) -> Config:
        assert main(["init", "--model", str(tiny), "--data", data, *arguments]) == 0
        return load_config("config.yaml")

    return run


@pytest.mark.parametrize("shape", SHAPES)
def test_the_config_of_sound_data_passes_its_own_gate(project, start, shape):
    (project.folder / "config.yaml").unlink()
    config = start(write_shape(project.folder, shape))
    assert config.data.format == shape
    assert config.training.get("assistant_only_loss", False) is (shape in ("messages", "sharegpt", "alpaca"))

    project.config.clear()
    project.config.update(YAML(typ="safe").load(config.path))
    run = project.set(training={"output_dir": "run"}).gate()  # where the harness looks for the report
    assert run.code == 0, run.screen
    assert run.report["verdict"] == "green"


def test_everything_that_was_found_is_in_the_config(start, tmp_path, capsys):
    rows = [{**SHAPES["messages"](n), "task_type": ("care", "repair")[n % 2]} for n in range(1200)]
    rows[7]["messages"][1]["content"] = "step " * 300
    config = start(write_rows(tmp_path / "train.jsonl", rows))

    assert config.data.task_field == "task_type"
    assert config.data.validation_split == 0.1  # 0.05 below 1,000 rows
    assert config.data.train == "train.jsonl"  # relative to the config
    assert config.lora.target_modules == ["q_proj", "k_proj", "v_proj", "o_proj"]
    assert config.training.max_length % 8 == 0
    assert config.training.max_length < 100  # the one long row is in the last percent
    assert config.model.dtype == "float32"
    assert config.quantization is None
    screen = capsys.readouterr().out
    assert "1,200 rows, messages (user, assistant)" in screen
    assert screen.endswith("pytest --preflight config.yaml\n")
    longest = int(screen.partition("the longest row has ")[2].split()[0])
    assert longest > 300
    assert f"the longest has {longest} tokens" in config.path.read_text(encoding="utf-8")


def test_a_validation_file_and_another_place_for_the_config(tiny, tmp_path):
    write_shape(tmp_path, count=600)
    write_rows(tmp_path / "held out.jsonl", [SHAPES["messages"](n) for n in range(600, 620)])
    (tmp_path / "configs").mkdir()
    arguments = ["--data", "train.jsonl", "--validation", "held out.jsonl", "--output", "configs/mine.yaml"]

    assert main(["init", "--model", str(tiny), *arguments]) == 0

    config = load_config("configs/mine.yaml")
    assert config.data.train == "../train.jsonl"
    assert config.resolve(config.data.validation_paths[0]) == tmp_path / "held out.jsonl"
    assert config.data.validation_split is None
    assert config.resolve(config.model.name_or_path) == tiny


@pytest.mark.parametrize("suffix", [".json", ".csv", ".parquet"])
def test_other_files_are_counted_too(start, tmp_path, capsys, suffix):
    rows = [SHAPES["alpaca"](number) for number in range(120)]
    path = tmp_path / f"train{suffix}"
    if suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    elif suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)

    assert start(str(path)).data.format == "alpaca"
    assert "120 rows, alpaca" in capsys.readouterr().out


def test_max_length_stops_at_the_models_window(start, tiny, tmp_path, capsys):
    window = json.loads((tiny / "config.json").read_text(encoding="utf-8"))["max_position_embeddings"]
    rows = [{"text": "step " * (window + 50)} for _ in range(5)]

    assert start(write_rows(tmp_path / "train.jsonl", rows)).training.max_length == window
    assert "more than 1 % of the rows are longer" in capsys.readouterr().out


def test_an_existing_file_is_never_overwritten(start, tmp_path, tiny, capsys):
    data = write_shape(tmp_path, count=10)
    before = start(data).path.read_bytes()

    assert main(["init", "--model", str(tiny), "--data", data]) == 1
    assert "config.yaml is there already and is never overwritten" in capsys.readouterr().err
    assert Path("config.yaml").read_bytes() == before


def test_a_few_broken_rows_are_a_note(start, tmp_path, capsys):
    path = Path(write_shape(tmp_path, count=20))
    path.write_text(path.read_text(encoding="utf-8") + '{"messages": [\n', encoding="utf-8")

    start(str(path))
    assert "1 of 21 rows can't be used; the gate names them: train.jsonl:21: not JSON" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content, said",
    [
        (None, "train.jsonl does not exist"),
        ("", "the file is empty"),
        ("{broken\n", "train.jsonl:1: not JSON"),
        ('{"question": "?", "output": "!"}\n', "no known shape: question: '?', output: '!'. Rename question to"),
        ('{"prompt": "?", "chosen": "!", "rejected": "."}\n', "preference and reward data (chosen, rejected) is not"),
        ('{"messages": []}\n', "messages must be a list of at least one message"),
    ],
)
def test_data_that_can_not_be_used_is_said_in_a_line(tiny, capsys, content, said):
    if content is not None:
        Path("train.jsonl").write_text(content, encoding="utf-8")

    assert main(["init", "--model", str(tiny), "--data", "train.jsonl"]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("preflight init: --data: ")
    assert not Path("config.yaml").exists()


def test_a_model_that_can_not_be_used_is_said_in_a_line(tmp_path, tiny, capsys):
    data = write_shape(tmp_path, count=10)
    Path("empty").mkdir()
    Path("bare").mkdir()
    for name in ("config.json", "model.safetensors"):
        os.symlink(tiny / name, Path("bare") / name)
    said = {
        "./nowhere": "there is no folder ./nowhere",
        "train.jsonl": "train.jsonl is a file; name the folder",
        "empty": "no config.json in",
        "bare": "no tokenizer can be loaded from",
    }
    for model, words in said.items():
        assert main(["init", "--model", model, "--data", data]) == 1
        error = capsys.readouterr().err
        assert words in error
        assert "Traceback" not in error
    assert not Path("config.yaml").exists()


def test_a_tokenizer_without_a_template_leaves_a_place_for_one(tmp_path, tiny, capsys):
    Path("base").mkdir()
    for path in tiny.iterdir():
        if path.name != "chat_template.jinja":
            os.symlink(path, Path("base") / path.name)

    assert main(["init", "--model", "base", "--data", write_shape(tmp_path, count=10)]) == 0
    assert "the tokenizer has no chat template" in capsys.readouterr().out
    text = Path("config.yaml").read_text(encoding="utf-8")
    assert "# chat_template: chat.jinja" in text
    assert load_config("config.yaml").model.name_or_path == "./base"


GIB = 2**30


@pytest.mark.parametrize(
    "gpu, dtype, quantize",
    [
        (None, "float32", False),
        (("A100", 80 * GIB, True), "bfloat16", False),
        (("RTX 4090", 24 * GIB, True), "bfloat16", False),  # 13 GiB of 24
        (("RTX A4000", 16 * GIB, True), "bfloat16", True),
        (("T4", 16 * GIB, False), "float16", True),
    ],
    ids=["cpu", "80", "24", "16", "old"],
)
def test_a_small_card_gets_qlora(gpu, dtype, quantize):
    method = init.choose_method(7_000_000_000, gpu)

    assert (method.dtype, method.quantize) == (dtype, quantize)


def test_qlora_is_the_checklists_minimum_config(start, tmp_path, monkeypatch):
    monkeypatch.setattr(init, "find_gpu", lambda: ("T4", 4 * 2**20, False))  # less than the tiny model's weights
    config = start(write_shape(tmp_path, count=10))

    wanted = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float16"}
    assert dict(config.quantization) == wanted
    training = config.training
    assert (training.optim, training.per_device_train_batch_size) == ("paged_adamw_8bit", 2)
    assert (training.gradient_accumulation_steps, training.fp16) == (8, True)
    assert config.model.dtype == "float16"


@pytest.mark.parametrize(
    "names, targets",
    [
        (["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "lm_head"], ("q_proj", "k_proj", "v_proj", "o_proj")),
        (["qkv_proj", "o_proj", "gate_up_proj", "down_proj"], ("qkv_proj", "o_proj")),
        (["query_key_value", "dense", "dense_h_to_4h"], ("query_key_value",)),
        (["c_attn", "c_proj", "c_fc"], ("c_attn",)),
        (["in_proj", "x_proj"], ("all-linear",)),
    ],
)
def test_targets_are_the_attention_projections(names, targets):
    assert init.attention_of(names) == targets


def test_the_minimum_sizes_in_the_comment_are_the_checks_own(start, tmp_path, capsys):
    text = " ".join(start(write_shape(tmp_path, count=10)).path.read_text(encoding="utf-8").split())
    for names, rows in (
        ("style-transfer or classification", "100 rows"),
        ("instruction-following, qa or reasoning", "500"),
        ("domain-knowledge", "1,000"),
        ("code-generation", "2,000"),
    ):
        assert f"{names.replace(' # ', ' ')} ({rows}" in text.replace("# ", "")
        minimum = int(rows.split()[0].replace(",", ""))
        assert {SIZES[name][0] for name in names.replace(" or ", ", ").split(", ")} == {minimum}
    assert SIZES["instruction-following"][0] == init.MINIMUM
    assert "10 training rows; instruction-following needs 500" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["a b", "a: b", "#a", "é", 'a"b', "1.5", "a/b.jsonl"])
def test_any_path_survives_yaml(value):
    assert YAML(typ="safe", pure=True).load(f"key: {init_text._yaml(value)}  # comment") == {"key": value}

"""`preflight init`: what it writes loads, says what was found, and passes its own gate."""

import csv
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from preflight import init, init_plan, init_text
from preflight.checks.data_quality.size import SIZES
from preflight.cli import main
from preflight.config import Config, load_config
from preflight.target import Gpu

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
    # The report is where the harness looks for it, and what a rehearsal costs is tried by its own tests.
    run = project.set(training={"output_dir": "run"}, gate={"rehearsal": False}).gate()
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


def card(name: str, gib: int, bf16: bool | None) -> Gpu:
    return Gpu(name, gib * GIB, capability=(8, 0) if bf16 else (7, 5), bf16=bf16)


@pytest.mark.parametrize(
    "gpu, dtype, quantize",
    [
        (None, "float32", False),
        (card("A100", 80, True), "bfloat16", False),
        (card("RTX 4090", 24, True), "bfloat16", False),  # 13 GiB of 24
        (card("RTX A4000", 16, True), "bfloat16", True),
        (card("T4", 16, False), "float16", True),
        (card("unknown", 80, None), "bfloat16", False),
    ],
    ids=["cpu", "80", "24", "16", "old", "unknown"],
)
def test_a_small_card_gets_qlora(gpu, dtype, quantize):
    method = init_plan.choose_method(7_000_000_000, gpu)

    assert (method.dtype, method.quantize) == (dtype, quantize)


MISTRAL = {  # seven billion parameters, in four layers that are traced fast
    "model_type": "mistral",
    "architectures": ["MistralForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 131072,
    "num_hidden_layers": 4,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 49152,
    "max_position_embeddings": 32768,
    "dtype": "bfloat16",
}


@pytest.fixture
def seven(tmp_path, tiny) -> str:
    """A folder with the tokenizer of the tiny model, and a config.json of 7 billion parameters."""
    folder = tmp_path / "seven"
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        os.symlink(tiny / name, folder / name)
    (folder / "config.json").write_text(json.dumps(MISTRAL))
    return str(folder)


def test_a_7b_on_16_gib_gets_the_checklists_minimum_config(seven, tmp_path, project, monkeypatch):
    """Minimum Viable Config, and the checks that need no weights find nothing that blocks."""
    pytest.importorskip("bitsandbytes")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (project.folder / "config.yaml").unlink()
    data = write_shape(project.folder, count=2000)

    assert main(["init", "--model", seven, "--data", data, "--gpu", "RTX 4080", "--memory-gib", "16"]) == 0

    config = load_config("config.yaml")
    wanted = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "bfloat16"}
    assert dict(config.quantization) == wanted
    attention = ["q_proj", "k_proj", "v_proj", "o_proj"]
    lora = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "target_modules": attention}
    assert dict(config.lora) == lora
    training = {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 8,
        "learning_rate": 2e-4,
        "num_train_epochs": 3,
        "warmup_steps": 0.03,
        "lr_scheduler_type": "cosine",
        "optim": "paged_adamw_8bit",
    }
    assert {name: config.training[name] for name in training} == training
    assert (config.hardware.gpu, config.hardware.memory_gib) == ("RTX 4080", 16)

    project.config.clear()
    project.config.update(YAML(typ="safe").load(config.path))
    run = project.set(training={"output_dir": "run"}, gate={"rehearsal": False}).gate("-k", "CFG or HW or ENV")
    failed = {check["code"] for check in run.report["checks"] if check["outcome"] in ("failed", "error")}
    assert failed <= {"CFG-110"}, run.screen  # the weights aren't there
    assert run.check("HW-110")["evidence"]["verdict"] == "fits"


def test_on_an_old_card_it_computes_in_float16(seven, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = write_shape(tmp_path, count=600)

    assert main(["init", "--model", seven, "--data", data, "--gpu", "T4", "--memory-gib", "16"]) == 0

    config = load_config("config.yaml")
    assert config.training.fp16 is True
    assert config.quantization.bnb_4bit_compute_dtype == "float16"


@pytest.mark.parametrize("arguments", [["--gpu", "T4"], ["--memory-gib", "16"], ["--gpu", "T4", "--memory-gib", "-1"]])
def test_half_a_card_is_refused(tiny, tmp_path, capsys, arguments):
    assert main(["init", "--model", str(tiny), "--data", write_shape(tmp_path, count=10), *arguments]) == 1
    assert "--gpu 'RTX 4080' --memory-gib 16" in capsys.readouterr().err


def test_small_data_gets_steps_enough(start, tmp_path):
    config = start(write_shape(tmp_path, count=120))

    assert config.training.gradient_accumulation_steps == 2  # 114 rows three times, in thirties
    assert init_plan.with_steps(init_plan.Method("float32", False, ""), 10_000).accumulation == 4


TASKS: dict[str, Callable[[int], tuple[str, str]]] = {
    "instruction-following": lambda n: (asked(n), answered(n)),
    "classification": lambda n: (asked(n), ("positive", "negative", "neutral")[n % 3]),
    "code-generation": lambda n: (asked(n), f"Here it is:\n```python\nprint({n})\n```"),
    "reasoning": lambda n: (asked(n), f"<think>{n} and one more</think>{n + 1}"),
    "qa": lambda n: (f"Context: the lamp has number {n}.\nWhich number has it?", f"Number {n}, says the passage."),
}


@pytest.mark.parametrize("task", TASKS)
def test_the_task_is_told_by_the_examples(start, tmp_path, task):
    rows = []
    for number in range(600):
        prompt, answer = TASKS[task](number)
        rows.append({"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]})
    config = start(write_rows(tmp_path / "train.jsonl", rows))

    assert config.task.type == task


def test_a_list_under_a_wrong_name_is_counted_as_a_list(start, tmp_path, capsys):
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps([SHAPES["alpaca"](number) for number in range(120)], indent=1), encoding="utf-8")
    start(str(path))

    assert "120 rows" in capsys.readouterr().out


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
    assert {name: SIZES[name][0] for name in init.MINIMUM} == init.MINIMUM
    assert "10 training rows; instruction-following needs 500" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["a b", "a: b", "#a", "é", 'a"b', "1.5", "a/b.jsonl"])
def test_any_path_survives_yaml(value):
    assert YAML(typ="safe", pure=True).load(f"key: {init_text._yaml(value)}  # comment") == {"key": value}

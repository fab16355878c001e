"""Whole configs: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from preflight.config import Config, ConfigError, Problem, load_config

BASE = {
    "model": "{name_or_path: m}",
    "data": "{train: t}",
    "training": "{output_dir: runs/bot}",
}


def text(**sections: str) -> str:
    """Render a valid config with some sections replaced or added, one a line."""
    return "".join(f"{name}: {value}\n" for name, value in (BASE | sections).items())


def test_every_error_at_once(write: Callable[[str], Path]) -> None:
    """One run names all faults, sorted by line, each with its column and what to do."""
    path = write(
        "name: 7\n"
        "task: {type: instruction-folowing}\n"
        "model: {name_or_path: m, load_in_4bit: true, dtype: bf16}\n"
        "data: {train: [a, 3], validation_split: 1.5, format: dpo}\n"
        "lora: {r: '16', lora_alpha: 32.0, bias: nonee, lora_dropout: true}\n"
        "training:\n"
        "  learnng_rate: 1\n"
        "  learning_rate: '2e-4'\n"
        "  bf16: yes\n"
        "  warmup_ratio: 3\n"
        "  lora_alpha: 3\n"
        "gate: {waivers: [{code: DATA-7, reason: '  ', by: me, expires: soon}], severity: {DATA-101: fatal}}\n"
        "deployment: {joined: true}\n"
    )

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    assert [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()] == [
        "1:1: name: expected text, got 7. Put it in quotes",
        "2:8: task.type: expected one of style-transfer, instruction-following, domain-knowledge, code-generation, "
        "classification, qa, reasoning, got 'instruction-folowing'. Did you mean instruction-following?",
        "3:26: model.load_in_4bit: is not a key here. Write it in the section quantization: load_in_4bit: true "
        "(or load_in_8bit)",
        "3:46: model.dtype: expected one of auto, float32, float16, bfloat16, got 'bf16'. "
        "Did you mean bfloat16 or float16?",
        "4:19: data.train[1]: expected text, got 3. Put it in quotes",
        "4:23: data.validation_split: must be less than 1, got 1.5",
        "4:46: data.format: preference, reward and reinforcement data are not supported yet; supervised formats are: "
        "messages, prompt-completion, alpaca, sharegpt, text (or auto)",
        "5:8: lora.r: expected a whole number, got '16'. Remove the quotes: 16",
        "5:17: lora.lora_alpha: expected a whole number, got 32.0. Write 32",
        "5:35: lora.bias: expected one of none, all, lora_only, got 'nonee'. Did you mean none?",
        "5:48: lora.lora_dropout: expected a number, got true",
        "6:1: training.output_dir: is missing. This key is required",
        "7:3: training.learnng_rate: unknown key. Did you mean learning_rate?",
        "8:3: training.learning_rate: expected a number, got '2e-4'. Remove the quotes: 2e-4",
        "9:3: training.bf16: expected true or false or null, got 'yes'. Write true",
        "10:3: training.warmup_ratio: is the old name of warmup_steps, and this value has no counterpart. "
        "A warmup_steps below 1 is the ratio; from 1 on it counts steps",
        "11:3: training.lora_alpha: unknown key. It belongs in the section lora",
        "12:19: gate.waivers[0].code: expected a check's code such as DATA-104, got 'DATA-7'",
        "12:33: gate.waivers[0].reason: is empty",
        "12:55: gate.waivers[0].expires: expected a date such as 2027-01-31, got 'soon'",
        "12:83: gate.severity.DATA-101: expected one of required, recommended, advice, got 'fatal'",
        "13:14: deployment.joined: unknown key. Valid keys: scenario, merge, engine, max_lora_rank",
    ]


# A section, and what the one complaint about it must say; None where it must be accepted.
CASES: list[tuple[str, str, str | None]] = [
    ("name", "support-bot", None),
    ("name", "''", "name: is empty"),
    ("task", "{type: qa, complexity: complex}", None),
    ("task", "", None),
    ("task", "qa", "task: expected a mapping or null, got 'qa'. Its keys are type, complexity"),
    ("model", "{name_or_path: m, dtype: auto, device_map: {'': 0}, tokenizer: t, chat_template: c.jinja}", None),
    ("model", "{name_or_path: m, device_map: auto, attn_implementation: sdpa, revision: null}", None),
    ("model", "{name_or_path: m, device_map: {a: [1]}}", "model.device_map.a: expected a whole number or text"),
    ("model", "{name_or_path: m, attn_implementation: flash}", "Did you mean flash_attention"),
    ("model", "{name_or_path: m, trust_remote_code: 'true'}", "expected true or false, got 'true'. Write true"),
    ("model", "{revision: main}", "model.name_or_path: is missing"),
    ("model", "{name_or_path: m, revision: 2024-01-01}", "expected text or null, got 2024-01-01. Put it in quotes"),
    ("model", "gpt2", "model: expected a mapping, got 'gpt2'. Its keys are name_or_path"),
    ("model", "", "model: expected a mapping, got null. Its keys are name_or_path"),
    ("model", "[a]", "model: expected a mapping, got a list"),
    ("data", "{train: [a, b], validation: v, format: messages, task_field: kind}", None),
    ("data", "{train: t, validation_split: 0.05}", None),
    ("data", "{train: []}", "data.train: is empty"),
    ("data", "{train: ''}", "data.train: is empty"),
    ("data", "{train: {a: b}}", "data.train: expected text or a list of texts, got a mapping"),
    ("data", "{train: t, validation: v, validation_split: 0.1}", "data: validation and validation_split are both set"),
    ("data", "{train: t, validation_split: 0}", "must be greater than 0, got 0"),
    ("data", "{train: t, validation_split: true}", "expected a number or null, got true"),
    ("data", "{train: t, format: KTO}", "not supported yet"),
    ("data", "{train: t, format: alpacca}", "Did you mean alpaca?"),
    ("data", "{train: t, columns: {}}", "data.columns: unknown key. Valid keys: train, validation"),
    ("lora", "{}", None),
    ("lora", "{target_modules: all-linear}", None),
    ("lora", "{target_modules: [q_proj], rank_pattern: {'^a.b': 8}, layers_to_transform: 3}", None),
    ("lora", "{init_lora_weights: pissa_niter_16}", None),
    ("lora", "{init_lora_weights: lora_ga, lora_ga_config: {stable_gamma: 8}}", None),
    ("lora", "{init_lora_weights: false, layer_replication: [[0, 4], [2, 5]]}", None),
    ("lora", "{task_type: CAUSAL_LM, peft_type: LORA, modules_to_save: null}", None),
    ("lora", "", "lora: is empty. Write {} for the defaults, or remove it for full fine-tuning"),
    ("lora", "null", "lora: is empty"),
    ("lora", "{r: true}", "lora.r: expected a whole number, got true"),
    ("lora", "{r: 16.5}", "lora.r: expected a whole number, got 16.5"),
    ("lora", "{r: null}", "lora.r: expected a whole number, got null. Give it a value, or remove the key"),
    ("lora", "{init_lora_weights: pissa_niter_x}", "Did you mean pissa?"),
    ("lora", "{layer_replication: [[0, 4, 5]]}", "lora.layer_replication[0]: List should have at most 2 items"),
    ("lora", "{eva_config: {rho: 2, tauu: 1}}", "lora.eva_config.tauu: unknown key. Did you mean tau?"),
    ("lora", "{eva_config: {rho: high}}", "lora.eva_config.rho: expected a number, got 'high'"),
    ("lora", "{runtime_config: {ephemeral_gpu_offload: true}}", "lora.runtime_config: expected null, got a mapping"),
    ("lora", "{task_type: CAUSAL}", "Did you mean CAUSAL_LM?"),
    ("quantization", "{load_in_4bit: true, bnb_4bit_quant_type: nf4, bnb_4bit_compute_dtype: bfloat16}", None),
    ("quantization", "{load_in_8bit: true, llm_int8_threshold: 6, llm_int8_skip_modules: [lm_head]}", None),
    ("quantization", "", "quantization: is empty. Write {} for the defaults, or remove it for no quantization"),
    ("quantization", "{bnb_4bit_quant_type: nf}", "expected one of nf4, fp4, got 'nf'. Did you mean nf4"),
    ("quantization", "{bnb_4bit_compute_dtype: bf16}", "Did you mean bfloat16"),
    ("quantization", "{load_in_4bit: 1}", "quantization.load_in_4bit: expected true or false, got 1"),
    ("quantization", "{load_in_4bits: true}", "Did you mean load_in_4bit"),
    ("training", "{output_dir: o, num_train_epochs: 3, warmup_steps: 0.03, fsdp: true, report_to: [wandb]}", None),
    ("training", "{output_dir: o, gradient_checkpointing: true, loss_type: chunked_nll, optim: sgd}", None),
    ("training", "{output_dir: o, max_length: null, pad_to_multiple_of: auto, save_strategy: best}", None),
    ("training", "{output_dir: o, lr_scheduler_kwargs: {num_cycles: 1}, ddp_backend: gloo}", None),
    ("training", "{output_dir: ''}", "training.output_dir: is empty"),
    ("training", "{output_dir: null}", "training.output_dir: expected text, got null"),
    ("training", "{output_dir: o, save_strategy: step}", "expected one of no, steps, epoch, best, got 'step'. Did you"),
    ("training", "{output_dir: o, lr_scheduler_type: cosin}", "Did you mean cosine"),
    ("training", "{output_dir: o, optim: adamw_torch_fuse}", "(41 in all), got 'adamw_torch_fuse'. Did you mean adamw"),
    ("training", "{output_dir: o, ddp_backend: glo}", "Did you mean gloo?"),
    ("training", "{output_dir: o, max_steps: '100'}", "training.max_steps: expected a whole number, got '100'. Remove"),
    ("training", "{output_dir: o, per_device_train_batch_size: auto}", "expected a whole number, got 'auto'"),
    ("training", "{output_dir: o, torch_dtype: float16}", "training.torch_dtype: unknown key"),
    ("training", "{output_dir: o, target_modules: [q]}", "It belongs in the section lora"),
    ("hardware", "{target: local}", None),
    ("hardware", "{gpu: A100, memory_gib: 80, count: 1, bf16: true, cuda: '12.4', disk_gib: 500}", None),
    ("hardware", "{count: 0, disk_gib: 50}", None),
    ("hardware", "{target: remote}", "hardware.target: expected one of local or null, got 'remote'"),
    ("hardware", "{target: local, gpu: A100}", "hardware: target: local describes itself: remove gpu"),
    ("hardware", "{gpu: A100}", "hardware: a described machine needs gpu and memory_gib"),
    ("hardware", "{gpu: A100, memory_gib: 80, cuda: 12.4}", "expected text or null, got 12.4. Put it in quotes"),
    ("gate", "{checks: [./mine], severity: {DATA-110: required}, thresholds: {DATA-105: {max_fraction: 0.02}}}", None),
    ("gate", "{thresholds: {DATA-105: {words: [a, b], on: true, none: null}}, rehearsal: false}", None),
    ("gate", "{waivers: [{code: USER-001, reason: r, by: b, expires: 2027-01-31}]}", None),
    ("gate", "{waivers: [{code: DATA-107, reason: r, by: b, expires: '2027-01-31'}]}", None),
    ("gate", "{waivers: [{code: DATA-107, by: b, expires: 2027-01-31}]}", "gate.waivers[0].reason: is missing"),
    ("gate", "{waivers: [{code: DATA-107, reason: r, expires: 2027-01-31}]}", "gate.waivers[0].by: is missing"),
    ("gate", "{waivers: [{code: DATA-107, reason: r, by: b}]}", "gate.waivers[0].expires: is missing"),
    (
        "gate",
        "{waivers: [{code: DATA-107, reason: r, by: b, expires: 20270131}]}",
        "expected a date such as 2027-01-31",
    ),
    ("gate", "{waivers: [{code: DATA-107, reason: r, by: b, expires: 2027-01-31 10:00:00}]}", "expected a date"),
    ("gate", "{waivers: {code: DATA-107}}", "gate.waivers: expected a list, got a mapping"),
    ("gate", "{severity: {DAT-110: required}}", "gate.severity.DAT-110: expected a check's code such as DATA-104"),
    ("gate", "{thresholds: {DATA-105: 0.02}}", "gate.thresholds.DATA-105: expected a mapping, got 0.02"),
    ("evaluation", "{max_minutes: 2, max_examples: 8, max_new_tokens: 16, format: '^[A-Z]+$'}", None),
    ("evaluation", "{format: '(['}", "evaluation.format: isn't a regular expression"),
    ("evaluation", "{max_examples: 0}", "must be greater than or equal to 1, got 0"),
    ("deployment", "{scenario: several-adapters}", None),
    ("deployment", "{scenario: several}", "Did you mean several-adapters?"),
    ("learning_rate", "2e-4", "learning_rate: unknown key. It belongs in the section training"),
    ("evalution", "{}", "evalution: unknown key. Did you mean evaluation?"),
]


@pytest.mark.parametrize("section, value, complaint", CASES, ids=[f"{name}: {value}" for name, value, _ in CASES])
def test_section(write: Callable[[str], Path], section: str, value: str, complaint: str | None) -> None:
    path = write(text(**{section: value}))

    if complaint is None:
        assert path == load_config(path).path
        return
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    [problem] = caught.value.problems
    assert complaint in str(problem)
    assert problem.line == list(BASE | {section: value}).index(section) + 1


def test_defaults(load: Callable[[str], Config]) -> None:
    config = load(text())

    assert (config.name, config.task.type, config.task.complexity) == ("bot", "instruction-following", "standard")
    assert (config.lora, config.quantization) == (None, None)
    assert config.hardware.is_local
    evaluated = config.evaluation.model_dump(exclude_none=True)
    assert evaluated == {"max_minutes": 10, "max_examples": 64, "max_new_tokens": 128, "samples": 1}
    assert (config.data.train_paths, config.data.validation_paths) == (["t"], [])
    assert config.renamed == []


def test_described_machine(load: Callable[[str], Config]) -> None:
    hardware = load(text(hardware="{gpu: A100, memory_gib: 80}")).hardware

    assert (hardware.is_local, hardware.count, hardware.gpu, hardware.memory_gib) == (False, 1, "A100", 80)


def test_waiver_dates(load: Callable[[str], Config]) -> None:
    """A date may be quoted or not."""
    for written in ("2027-01-31", "'2027-01-31'"):
        waiver = f"{{code: DATA-107, reason: r, by: b, expires: {written}}}"

        assert date(2027, 1, 31) == load(text(gate=f"{{waivers: [{waiver}]}}")).gate.waivers[0].expires


def test_paths(load: Callable[[str], Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are relative to the config, not to the working folder; artefacts can be moved."""
    monkeypatch.setenv("HOME", "/home/someone")
    config = load(text())
    moved = config.with_artefacts("/elsewhere")

    assert tmp_path == config.folder
    assert tmp_path / "runs/bot" == config.output_dir
    assert tmp_path / "a" == config.resolve("b/../a")
    assert Path("/abs/x") == config.resolve("/abs/x")
    assert Path("/home/someone/x") == config.resolve("~/x")
    assert tmp_path / "~no-such-user/x" == config.resolve("~no-such-user/x")
    assert tmp_path / "runs/bot/preflight" == config.artefacts("preflight")
    assert Path("/elsewhere/postflight") == moved.artefacts("postflight")
    assert config.output_dir == moved.output_dir
    with pytest.raises(ValueError, match="no such stage: 'landing'"):
        config.artefacts("landing")


def test_relative_path_is_remembered_absolute(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(text())
    monkeypatch.chdir(path.parent)
    config = load_config("config.yaml")
    monkeypatch.chdir("/")

    assert path == config.path
    assert path.parent / "runs/bot" == config.output_dir


def test_problems_show_the_path_as_written(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(text(zzz="1")).parent)

    with pytest.raises(ConfigError, match=r"^config\.yaml:4:1: zzz: unknown key"):
        load_config("config.yaml")


def test_lines(load: Callable[[str], Config]) -> None:
    config = load(text(gate="\n  waivers:\n  - code: DATA-107\n    reason: r\n    by: b\n    expires: 2027-01-31"))

    assert 3 == config.line_of("training.output_dir") == config.line_of("training")
    assert 7 == config.line_of("gate.waivers[0].reason") == config.line_of("gate.waivers.0.reason")
    assert config.line_of("training.seed") is None
    assert [config.where(key) for key in ("gate.waivers[0].reason", "training.seed", "hardware.gpu")] == [
        "config.yaml:7",
        "config.yaml:3",
        "config.yaml",
    ]


VALUES = [
    ("training", "{output_dir: o}", "learning_rate", 2e-5),
    ("training", "{output_dir: o, learning_rate: 2e-4}", "learning_rate", 2e-4),
    ("training", "{output_dir: o}", "bf16", True),
    ("training", "{output_dir: o, fp16: true}", "bf16", False),
    ("training", "{output_dir: o, fp16: true, bf16: true}", "bf16", True),
    ("training", "{output_dir: o}", "activation_checkpointing", True),
    ("training", "{output_dir: o, gradient_checkpointing: false}", "activation_checkpointing", False),
    ("training", "{output_dir: o, activation_checkpointing: false}", "gradient_checkpointing", False),
    ("training", "{output_dir: o, gradient_checkpointing_kwargs: {a: 1}}", "activation_checkpointing_kwargs", {"a": 1}),
    ("training", "{output_dir: o}", "gradient_checkpointing_kwargs", None),
    ("training", "{output_dir: o}", "include_for_metrics", []),
    ("lora", "{r: 16}", "r", 16),
    ("lora", "{}", "r", 8),
    ("lora", "{}", "rank_pattern", {}),
    ("quantization", "{load_in_4bit: true}", "load_in_4bit", True),
    ("quantization", "{load_in_4bit: true}", "bnb_4bit_quant_type", "fp4"),
]


@pytest.mark.parametrize("section, value, key, expected", VALUES, ids=[f"{v} {k}" for _, v, k, _ in VALUES])
def test_value_or_default(load: Callable[[str], Config], section: str, value: str, key: str, expected: object) -> None:
    config = load(text(**{section: value}))

    assert expected == getattr(config, f"{section}_value")(key)


def test_no_such_value(load: Callable[[str], Config]) -> None:
    with pytest.raises(KeyError, match="learnng_rate"):
        load(text()).training_value("learnng_rate")


def test_nothing_changes_after_loading(load: Callable[[str], Config]) -> None:
    config = load(text(lora="{target_modules: [q_proj]}"))
    assert config.lora is not None

    config.lora["target_modules"].append("k_proj")
    config.training_value("include_for_metrics").append("loss")

    assert ["q_proj"] == config.lora.target_modules == config.lora["target_modules"]
    assert config.training_value("include_for_metrics") == []
    for change in (
        lambda: setattr(config, "name", "x"),
        lambda: setattr(config.model, "name_or_path", "x"),
        lambda: setattr(config.lora, "r", 1),
    ):
        with pytest.raises((ValidationError, AttributeError)):
            change()


def test_section_is_a_mapping(load: Callable[[str], Config]) -> None:
    training = load(text()).training

    assert {"output_dir": "runs/bot"} == dict(**training) == pickle.loads(pickle.dumps(training))
    assert (training.output_dir, training.get("seed"), len(training)) == ("runs/bot", None, 1)
    with pytest.raises(AttributeError, match="doesn't set 'seed'"):
        _ = training.seed


def test_resolved_is_canonical(load: Callable[[str], Config]) -> None:
    """Defaults written out, old names, number spellings, order and comments make no difference; a value does."""
    plain = load(text(training="{output_dir: runs/bot, max_length: 512, num_train_epochs: 3}")).resolved()
    other = load(
        "# the same\n"
        "training: {num_train_epochs: 3.0, max_seq_length: 512, output_dir: runs/bot}\n"
        "gate:\n"
        "hardware: {target: local}\n"
        "model: {name_or_path: m, revision: null, trust_remote_code: false}\n"
        "data: {format: auto, train: t}\n"
        "name: bot\n"
    ).resolved()

    assert json.dumps(plain, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert plain != load(text(training="{output_dir: runs/bot, max_length: 513, num_train_epochs: 3}")).resolved()


def test_resolved_is_json(load: Callable[[str], Config]) -> None:
    """A date inside a free mapping is the one value of YAML that JSON lacks."""
    resolved = load(text(training="{output_dir: o, model_init_kwargs: {a: [2027-01-31, 1.5, {b: null}]}}")).resolved()

    assert json.loads(json.dumps(resolved))["training"]["model_init_kwargs"] == {"a": ["2027-01-31", 1.5, {"b": None}]}


FOREIGN = {
    "axolotl": "base_model datasets adapter sequence_len micro_batch_size lora_r lora_alpha",
    "LLaMA-Factory": "model_name_or_path stage finetuning_type template cutoff_len dataset learning_rate",
}


@pytest.mark.parametrize("tool", FOREIGN)
def test_config_of_another_tool(problems: Callable[[str], list[Problem]], tool: str) -> None:
    """Unknown keys are capped, and one line says what the file seems to be."""
    found = problems("".join(f"{key}: 1\n" for key in FOREIGN[tool].split()))
    unknown = [problem for problem in found if problem.message == "unknown key"]

    assert len(unknown) == 5
    assert sum(f"looks like a config of {tool}: importing those isn't supported yet" in str(it) for it in found) == 1
    assert sum("2 more unknown keys are not listed" in str(problem) for problem in found) == 1
    assert {"model", "data", "training"} == {problem.key for problem in found if problem.message == "is missing"}


def test_unknown_keys_are_capped(problems: Callable[[str], list[Problem]]) -> None:
    found = problems(text() + "".join(f"zz{number}: 1\n" for number in range(60)))

    assert len(found) == 51
    assert found[0].message == "10 more unknown keys are not listed"


def test_nothing_heavy_is_imported(write: Callable[[str], Path]) -> None:
    """Loading a whole config leaves the heavy libraries alone; reading a computed default may not."""
    path = write(text(lora="{r: 8}", quantization="{load_in_4bit: true}"))
    program = (
        "import sys; from preflight.config import load_config; "
        f"config = load_config({str(path)!r}); config.lora_value('lora_alpha'); "
        "print([name for name in ('torch', 'transformers', 'trl', 'peft', 'datasets', 'yaml') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert output == "[]\n"


def test_library_missing(load: Callable[[str], Config], monkeypatch: pytest.MonkeyPatch) -> None:
    from preflight.config import libraries
    from preflight.config import load as loading

    for cached in (libraries.fields, libraries.section_type, loading.file_type):
        cached.cache_clear()
    monkeypatch.setitem(libraries.SOURCES, "training", ("no_such_library.sft", "no_such_library", "SFTConfig"))
    try:
        with pytest.raises(ConfigError, match="can't be judged here: No module named 'no_such_library'"):
            load(text())
    finally:
        for cached in (libraries.fields, libraries.section_type, loading.file_type):
            cached.cache_clear()

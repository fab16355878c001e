"""Shared fixtures: the embedded model, a tiny model with its tokenizer, and gate runs on projects made for a test."""

import contextlib
import copy
import io
import json
import os
import runpy
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "smollm2"


@dataclass(frozen=True)
class GateRun:
    """One gate run in this process: its exit code, screen, and report.json (None if none was written)."""

    code: int
    screen: str
    report: dict[str, Any] | None

    def outcome(self, code: str) -> str:
        return self.check(code)["outcome"]

    def findings(self, code: str) -> list[dict[str, str]]:
        return self.check(code)["findings"]

    def check(self, code: str) -> dict[str, Any]:
        assert self.report is not None, self.screen
        return next(check for check in self.report["checks"] if check["code"] == code)


@dataclass(frozen=True)
class Project:
    """A folder with a config and data, to be changed at will by a test.

    The config is a mapping that `write` puts to `config.yaml`; `gate` writes it and runs the gate on it.
    """

    folder: Path
    config: dict[str, Any]

    def write(self) -> Path:
        path = self.folder / "config.yaml"
        with path.open("w", encoding="utf-8") as stream:
            YAML().dump(self.config, stream)
        return path

    def rows(self, rows: Sequence[Mapping[str, Any]], name: str = "train.jsonl") -> Path:
        """Replace a data file."""
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return self.text(text, name)

    def text(self, text: str, name: str = "train.jsonl") -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def set(self, **sections: Any) -> "Project":
        """Change keys of sections: `set(training={"learning_rate": 1.0})`; a section of None is removed."""
        for section, values in sections.items():
            if values is None:
                self.config.pop(section, None)
            elif isinstance(values, Mapping) and isinstance(self.config.get(section), dict):
                self.config[section].update(values)
            else:
                self.config[section] = copy.deepcopy(values)
        return self

    def gate(self, *arguments: str, stage: str = "preflight") -> GateRun:
        """Run the gate in this process. Give `-k CODE` to run one check."""
        path = self.write()
        report = self.folder / "run" / stage / "report.json"
        report.unlink(missing_ok=True)
        screen = io.StringIO()
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
                alone = [
                    "-p",
                    "no:cacheprovider",
                    "-p",
                    "no:pytester",
                    "-p",
                    "no:unraisableexception",
                    "--rootdir",
                    str(self.folder),
                    "-c",
                    os.devnull,
                ]
                code = pytest.main([f"--{stage}", str(path), *alone, *arguments])
        finally:
            os.chdir(before)
        found = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else None
        return GateRun(int(code), screen.getvalue(), found)

    def clear(self) -> Path:
        """Run the whole gate, expect it green, and return the config's path."""
        run = self.gate()
        assert run.report is not None, run.screen
        assert run.report["verdict"] == "green", run.screen
        return self.folder / "config.yaml"


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The embedded model's folder, made once for all workers."""
    make_model = runpy.run_path(str(EXAMPLE / "make_model.py"))["make_model"]
    with FileLock(str(EXAMPLE / ".model.lock")):
        return make_model()


@pytest.fixture(scope="session")
def tiny(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer random Llama with the embedded model's tokenizer: everything runs on it, in milliseconds."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    tokens = {"vocab_size": 49152, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    model = LlamaForCausalLM(LlamaConfig(**sizes, **tokens, num_key_value_heads=2, tie_word_embeddings=True))
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(smollm2 / name, folder / name)
    return folder


NOUNS = (
    "lamp",
    "kettle",
    "bicycle",
    "radio",
    "tent",
    "violin",
    "camera",
    "ladder",
    "compass",
    "anchor",
    "drill",
    "vase",
)
VERBS = ("clean", "repair", "store", "return", "insure", "lend", "paint", "measure", "ship", "photograph")


def chat(number: int, *, answer: str | None = None, system: str | None = None) -> dict[str, Any]:
    """The numbered one of as many different, sound chat examples as you like."""
    noun, verb = NOUNS[number % len(NOUNS)], VERBS[number // len(NOUNS) % len(VERBS)]
    messages = [{"role": "system", "content": system}] if system else []
    messages += [
        {"role": "user", "content": f"How do I {verb} my {noun}? It is number {number}."},
        {"role": "assistant", "content": answer or f"To {verb} a {noun}, take part {number}, then step {number + 1}."},
    ]
    return {"messages": messages}


@pytest.fixture(scope="session")
def open_project() -> Callable[[Path], Project]:
    """`open_project(folder)`: the project of a folder that has a config."""
    return lambda folder: Project(folder, YAML(typ="safe").load(folder / "config.yaml"))


@pytest.fixture
def project(tiny: Path, tmp_path: Path) -> Project:
    """A sound project of 600 training and 16 validation chats on the tiny model; its gate is green."""
    config = {
        "name": "tiny",
        "task": {"type": "style-transfer", "complexity": "standard"},
        "model": {"name_or_path": str(tiny), "dtype": "float32"},
        "data": {"train": "train.jsonl", "validation": "validation.jsonl"},
        "lora": {"r": 16, "lora_alpha": 32, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]},
        "training": {
            "output_dir": "run",
            "learning_rate": 2e-4,
            "warmup_steps": 0.05,
            "max_length": 256,
            "assistant_only_loss": True,
            "num_train_epochs": 1,
            "per_device_train_batch_size": 4,
            "gradient_checkpointing": False,
            "logging_steps": 1,
            "eval_strategy": "epoch",
        },
        "gate": {"rehearsal": False},  # seconds in each of hundreds of gate runs; its own tests switch it on
    }
    made = Project(tmp_path, config)
    made.rows([chat(number) for number in range(600)])
    made.rows([chat(number) for number in range(600, 616)], "validation.jsonl")
    made.write()
    return made


@pytest.fixture
def model(project: Project, tiny: Path) -> Path:
    """A copy of the tiny model that a test may damage; the config names it."""
    folder = project.folder / "model"
    shutil.copytree(tiny, folder)
    project.set(model={"name_or_path": "model"})
    return folder


@pytest.fixture
def expect(project: Project) -> Callable[..., None]:
    """Assert one check's outcome on the project as it stands, and how many findings it has."""

    def assert_outcome(code: str, outcome: str, stage: str = "preflight") -> list[dict[str, str]]:
        run = project.gate("-k", code, stage=stage)
        assert run.outcome(code) == outcome, run.screen
        return run.findings(code)

    return assert_outcome


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow tests first: the whole flight is the first to break, and the other worker has the rest meanwhile."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA GPU")

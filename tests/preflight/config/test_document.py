"""Files that are no config: each is one plain error with its position, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from preflight.config import Config, ConfigError, Problem, load_config

VALID = "model: {name_or_path: m}\ndata: {train: t}\ntraining: {output_dir: o}\n"

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)

REFUSED_FILES = {
    "empty": ("", None, None, "is empty"),
    "comment only": ("# nothing\n", None, None, "is empty"),
    "null document": ("---\n", None, None, "is empty"),
    "list": ("- a\n- b\n", 1, 1, "got a list"),
    "scalar": ("just text\n", 1, 1, "got a single value"),
    "tab": ("data:\n\ttrain: x\n", 2, 1, "a tab stands where YAML wants spaces"),
    "colon in text": ("name: a: b\n", 1, 8, "can't stand here"),
    "indentation": ("- a\nname: x\n", 2, 1, "indentation doesn't match"),
    "open quote": ('name: "abc\n', 2, 1, "a quote is opened and never closed"),
    "open bracket": ("data: {train: [a, b\n", 2, 1, "a bracket is opened and never closed"),
    "reserved character": ("name: @team\n", 1, 7, "put it in quotes"),
    "undefined alias": ("name: *x\n", 1, 7, "without its anchor"),
    "two documents": ("name: a\n---\nname: b\n", 2, 1, "second document"),
    "control character": ("name: a\nx: \x01\n", 2, 4, "the character U+0001"),
    "deep flow": ("a: " + "[" * 5000, 1, 35, "nested deeper than 32"),
    "deep block": ("- " * 100 + "x", 1, 65, "nested deeper than 32"),
    "alias bomb": (BOMB, 1, 10, "more than 20000 values"),
    "YAML 1.1": ("%YAML 1.1\n---\nname: x\n", 2, 1, "asks for YAML 1.1"),
    "UTF-16": ("name: x\n".encode("utf-16"), None, None, "encoded as UTF-16"),
    "UTF-32": ("name: x\n".encode("utf-32"), None, None, "encoded as UTF-32"),
    "UTF-16 without a mark": ("name: x\n".encode("utf-16-le"), None, None, "UTF-16 or UTF-32"),
    "Latin-1": (b"name: x\ntask: caf\xe9\n", 2, 10, "isn't UTF-8: byte 0xe9"),
    "Latin-1 after a mark": (b"\xef\xbb\xbfname: caf\xe9\n", 1, 10, "isn't UTF-8: byte 0xe9"),
    "huge": (b"#" * 300_000, None, None, "larger than 256 KiB"),
}


@pytest.mark.parametrize("content, line, column, message", REFUSED_FILES.values(), ids=REFUSED_FILES)
def test_one_plain_error(
    problems: Callable[[str | bytes], list[Problem]], content: str | bytes, line: int, column: int, message: str
) -> None:
    [problem] = problems(content)

    assert (line, column) == (problem.line, problem.column)
    assert message in str(problem)


REFUSED_VALUES = {
    "duplicate key": ("name: a\nname: b\n", 2, 1, "name", "lines 1 and 2"),
    "python tag": ("name: !!python/object/apply:os.system [true]\n", 1, 1, "name", "!!python/object/apply:os.system"),
    "own tag": ("name: !secret x\n", 1, 1, "name", "!secret"),
    "binary": ("name: !!binary aGk=\n", 1, 1, "name", "!!binary"),
    "number as key": ("gate:\n  thresholds:\n    3: x\n", 3, 5, "gate.thresholds", "'3' isn't text"),
    "list as key": ("gate:\n  ? [a]\n  : x\n", 2, 5, "gate", "isn't text"),
    "nan": ("evaluation: {max_minutes: .nan}\n", 1, 14, "evaluation.max_minutes", "finite number, got .nan"),
    "infinity": ("evaluation: {max_minutes: -.inf}\n", 1, 14, "evaluation.max_minutes", "finite number"),
    "overflow": ("evaluation: {max_minutes: 1e999}\n", 1, 14, "evaluation.max_minutes", "finite number, got 1e999"),
    "no such date": ("name: 2027-13-45\n", 1, 1, "name", "reads as date, but isn't"),
    "not that kind": ("name: !!int abc\n", 1, 1, "name", "reads as int, but isn't"),
    "endless number": (f"name: {'1' * 5000}\n", 1, 1, "name", "reads as int, but isn't"),
    "None": ("name: None\n", 1, 1, "name", "Write null"),
    "NUL": ('name: "a\\0"\n', 1, 1, "name", "no text may have"),
    "half a surrogate": ('name: "\\ud800"\n', 1, 1, "name", "no text may have"),
    "alias in itself": ("gate: &g {checks: *g}\n", 1, 11, "gate.checks", "inside its own anchor"),
    "merge of text": ("gate: {<<: text}\n", 1, 8, "gate", "merges mappings only"),
}


@pytest.mark.parametrize("text, line, column, key, message", REFUSED_VALUES.values(), ids=REFUSED_VALUES)
def test_one_value_is_refused_once_and_the_rest_is_judged(
    problems: Callable[[str], list[Problem]], *, text: str, line: int, column: int, key: str, message: str
) -> None:
    value, other = problems(text + VALID + "zzz: 1\n")

    assert (line, column, key) == (value.line, value.column, value.key)
    assert message in str(value)
    assert other.key == "zzz"


ACCEPTED = {
    "byte order mark": ("\ufeff" + VALID, "o"),
    "Windows line ends": (VALID.replace("\n", "\r\n"), "o"),
    "anchor and alias": (
        "name: &n run\nmodel: {name_or_path: *n}\ndata: {train: t}\ntraining: {output_dir: o}\n",
        "run",
    ),
    "merge, own key wins": (VALID + "task: &t {type: qa}\nname: merged\n", "merged"),
    "explicit tag": ("name: !!str 12\n" + VALID, "12"),
    "YAML 1.2 directive": ("%YAML 1.2\n---\n" + VALID, "o"),
    "emoji": ("name: 'a 🚀'\n" + VALID, "a 🚀"),
    "quoted None": ('name: "None"\n' + VALID, "None"),
}


@pytest.mark.parametrize("content, name", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(load: Callable[[str], Config], content: str, name: str) -> None:
    assert name == load(content).name


def test_merge_key(load: Callable[[str], Config]) -> None:
    """Later keys and the mapping's own keys win over merged ones, and positions are those of the winner."""
    text = VALID + (
        "gate:\n"
        "  thresholds:\n"
        "    DATA-101: &base {low: 1, high: 2}\n"
        "    DATA-102:\n"
        "      high: 3\n"
        "      <<: *base\n"
        "    DATA-103: {<<: [{low: 7}, *base]}\n"
    )
    config = load(text)

    assert config.gate.thresholds["DATA-102"] == {"low": 1, "high": 3}
    assert config.gate.thresholds["DATA-103"] == {"low": 7, "high": 2}
    assert config.line_of("gate.thresholds.DATA-102.high") == 8
    assert config.line_of("gate.thresholds.DATA-102.low") == 6


def test_yaml_1_2_scalars(load: Callable[[str], Config]) -> None:
    """`2e-4` is a number, and `no` is text, as YAML 1.2 says."""
    config = load(VALID.replace("{output_dir: o}", "{output_dir: o, learning_rate: 2e-4, eval_strategy: no}"))

    assert config.training.learning_rate == 2e-4
    assert config.training.eval_strategy == "no"


def test_missing_file(tmp_path: Path) -> None:
    """The error says where it looked and what is there instead."""
    (tmp_path / "config.yml").write_text(VALID)
    (tmp_path / "other.txt").write_text(VALID)

    with pytest.raises(ConfigError, match=r"no such file; looked for /.*/config\.yaml\. There is config\.yml$"):
        load_config(tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match=r"no such file; looked for /.*/config\.yaml$"):
        load_config(tmp_path / "nowhere" / "config.yaml")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder, not a config file"):
        load_config(tmp_path)


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_impossible_path(path: str) -> None:
    with pytest.raises(ConfigError, match=r"can't be read|no such file"):
        load_config(path)

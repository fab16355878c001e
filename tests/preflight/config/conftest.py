"""Configs as text: a small valid one, and helpers that load text from a temporary file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from preflight.config import Config, ConfigError, Problem, load_config

VALID = """\
name: support-bot
model: {name_or_path: ./models/smollm2}
data: {train: data/train.jsonl}
training:
  output_dir: runs/support-bot
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a config file, from text or bytes, and return its path."""

    def write_file(content: str | bytes) -> Path:
        path = tmp_path / "config.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def load(write: Callable[[str | bytes], Path]) -> Callable[[str | bytes], Config]:
    """Load a config from its content."""
    return lambda content: load_config(write(content))


@pytest.fixture
def problems(write: Callable[[str | bytes], Path]) -> Callable[[str | bytes], list[Problem]]:
    """Return the problems of a config that must be refused."""

    def refused(content: str | bytes) -> list[Problem]:
        with pytest.raises(ConfigError) as caught:
            load_config(write(content))
        return caught.value.problems

    return refused

"""Whatever a config file contains, loading it gives a Config or a ConfigError."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preflight.config import Config, ConfigError, load_config
from preflight.config.load import file_members
from preflight.config.wording import members

SECTIONS = {name: sorted(members(kind)) for name, kind in file_members().items()}
ODD_TEXT = ["", "~", "None", "yes", "2e-4", "'", '"', "a: b", "- a", "*a", "&a", "!!python/name:os", "\x00", "<<", "0"]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(ODD_TEXT)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def section(name: str) -> st.SearchStrategy[Any]:
    """Draw a section: mostly its own keys, with any value."""
    keys = st.sampled_from(SECTIONS[name]) if SECTIONS[name] else st.text(max_size=5)
    return st.dictionaries(keys | st.text(max_size=5), values, max_size=4) | values


configs = st.fixed_dictionaries(
    {"model": section("model"), "data": section("data"), "training": section("training")},
    optional={name: section(name) for name in SECTIONS if name not in {"model", "data", "training"}},
)
yaml_characters = st.text(st.sampled_from(list("ab1 \n\t:-[]{},&*!|>'\"%@#?<~.=\r\\")) | st.characters(), max_size=60)
many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def judge(path: Path, content: bytes) -> None:
    """Load, and see that either answer is whole."""
    path.write_bytes(content)
    try:
        answer: Config | ConfigError = load_config(path)
    except ConfigError as error:
        answer = error

    if isinstance(answer, Config):
        assert json.dumps(answer.resolved(), allow_nan=False).encode()
    else:
        assert all(problem.message for problem in answer.problems)
        assert str(answer)


@many
@given(configs)
def test_any_mapping(tmp_path: Path, config: dict[str, Any]) -> None:
    judge(tmp_path / "config.yaml", json.dumps(config).encode())


@many
@given(st.binary(max_size=80))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    judge(tmp_path / "config.yaml", content)


@many
@given(yaml_characters)
def test_any_text(tmp_path: Path, content: str) -> None:
    judge(tmp_path / "config.yaml", content.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("size", [0, 40, 95, 200, 310])
def test_cut_off_anywhere(tmp_path: Path, size: int) -> None:
    """A file that was cut off while it was written is refused or valid, never a crash."""
    whole = json.dumps({"model": {"name_or_path": "m"}, "data": {"train": "t"}, "training": {"output_dir": "o" * 300}})
    judge(tmp_path / "config.yaml", whole[:size].encode())

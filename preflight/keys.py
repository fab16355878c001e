"""Stash keys: where the gate keeps its state on pytest's objects."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from preflight.config import Config
    from preflight.session import Gate

CONFIG: "pytest.StashKey[Config]" = pytest.StashKey()
GATE: "pytest.StashKey[Gate]" = pytest.StashKey()
SETUP: pytest.StashKey[float] = pytest.StashKey()  # seconds
EVIDENCE: pytest.StashKey[tuple[str, dict[str, Any]]] = pytest.StashKey()

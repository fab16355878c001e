"""Monitors judged on curves that a test makes up, as they are asked while a run goes on."""

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from preflight import registry
from preflight.flight import Log
from preflight.flight.plan import Plan
from preflight.judging import ask
from preflight.verdict import Result

MONITORS = {code: check for code, check in registry.load().items() if check.is_monitor}


def records(curves: dict[str, Any], every: int = 1) -> list[dict[str, Any]]:
    """Records of a run log from curves; a number is that at every step."""
    count = max(len(values) for values in curves.values() if isinstance(values, Sequence | np.ndarray))
    columns = {
        key: values if isinstance(values, Sequence | np.ndarray) else [values] * count for key, values in curves.items()
    }
    return [
        {"step": every * (at + 1)} | {key: float(values[at]) for key, values in columns.items() if at < len(values)}
        for at in range(count)
    ]


@pytest.fixture
def judged() -> Callable[..., Result]:
    """`judged("RUN-102", {"loss": [3.0, 2.9]}, steps=2)`: what a monitor says of these curves, under this plan.

    Curves may also be the records of a log. The plan is of 100 steps and as many an epoch unless said otherwise.
    """

    def judge(code: str, curves: Any, limits: dict[str, Any] | None = None, every: int = 1, **plan: Any) -> Result:
        log = Log(records(curves, every) if isinstance(curves, dict) else curves)
        check = MONITORS[code]
        thresholds = SimpleNamespace(**{**check.thresholds, **(limits or {})})
        plan = {"steps": 100, "epoch": 100} | plan
        result = ask(check, check.severity, None, thresholds, run_log=log, plan=Plan(**plan))
        assert result.outcome != "error", result.reason
        for finding in result.findings:
            assert set(finding) >= {"message", "where", "observed", "expected", "why", "fix"}
        return result

    return judge


def decay(start: float, end: float, count: int) -> np.ndarray:
    """A loss that falls as losses do."""
    return end + (start - end) * np.exp(-5 * np.arange(count) / count)


def noisy(values: Any, share: float = 0.2, seed: int = 7) -> np.ndarray:
    """The same with noise of up to so large a share of each value."""
    return np.asarray(values) * (1 + share * np.random.default_rng(seed).uniform(-1, 1, len(values)))


def flat(value: float, count: int) -> np.ndarray:
    """Nothing happens."""
    return np.full(count, value)


NAN, INF = math.nan, math.inf

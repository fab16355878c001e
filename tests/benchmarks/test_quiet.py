"""The guard of the benchmarks: what other processes disturbed doesn't count."""

import importlib.util
import itertools
from pathlib import Path

import pytest

PATH = Path(__file__).parent.parent.parent / "benchmarks" / "quiet.py"


@pytest.fixture
def quiet(monkeypatch):
    spec = importlib.util.spec_from_file_location("quiet", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PATIENCE", 0)
    monkeypatch.setattr(module, "_own", lambda: 0.0)
    return module


def others(*seconds):
    """The machine's clock of busy seconds: what others use in each repetition, over and over."""
    moments = itertools.accumulate(part for used in itertools.cycle(seconds) for part in (0.0, used))
    return lambda: next(moments)


def test_disturbed_repetitions_are_thrown_away_and_counted(quiet, monkeypatch):
    monkeypatch.setattr(quiet, "_busy", others(5.0, 0.0))
    times = quiet.measure(lambda: None, 3)

    assert len(times.seconds) == 3
    assert times.disturbed == 3


def test_it_gives_up_on_a_machine_that_is_never_quiet(quiet, monkeypatch):
    monkeypatch.setattr(quiet, "_busy", others(5.0))

    with pytest.raises(quiet.TooBusy, match="10 of 10 repetitions were disturbed by other processes"):
        quiet.measure(lambda: None, 2)


def test_noisy_keeps_them_all(quiet, monkeypatch):
    monkeypatch.setattr(quiet, "_busy", others(5.0))
    times = quiet.measure(lambda: None, 2, noisy=True)

    assert (len(times.seconds), times.disturbed) == (2, 2)

"""Energy: the counters of the cards that the run uses, or nothing."""

import sys
from types import SimpleNamespace

import pytest
import torch

from preflight import driver, energy


class NVMLError(Exception):
    pass


@pytest.fixture
def machine(monkeypatch):
    """`machine(joules, ...)`: a machine whose cards have taken so much; None for one that has no counter."""

    def pretend(*joules):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(joules))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(joules))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda card: SimpleNamespace(uuid=card))
        monkeypatch.setattr(driver, "energy", lambda uuid: joules[int(uuid.removeprefix("GPU-"))])

    return pretend


@pytest.mark.parametrize(
    "processes, cards, joules",
    [
        ("1", [], None),
        ("1", [5.0], 5),
        ("1", [0.0], 0),
        ("1", [5.0, 7.0], 12),
        ("2", [5.0, 7.0, 11.0], 12),
        ("4", [5.0, 7.0], 12),
        ("1", [5.0, None], None),
    ],
)
def test_the_cards_that_the_run_drives_are_summed(machine, monkeypatch, processes, cards, joules):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    machine(*cards)

    assert energy.joules() == joules


@pytest.mark.parametrize("answer, joules", [(2_500, 2.5), (NVMLError("Not Supported"), None)])
def test_the_counter_of_a_card(monkeypatch, answer, joules):
    def counter(handle):
        if isinstance(answer, Exception):
            raise answer
        return answer

    nothing = dict.fromkeys(("nvmlInit", "nvmlShutdown", "nvmlDeviceGetHandleByUUID"), lambda *_: None)
    module = SimpleNamespace(NVMLError=NVMLError, nvmlDeviceGetTotalEnergyConsumption=counter, **nothing)
    monkeypatch.setitem(sys.modules, "pynvml", module)

    assert driver.energy("GPU-1") == joules
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert driver.energy("GPU-1") is None


@pytest.mark.gpu
def test_a_real_card_counts_up():
    first = energy.joules()
    values = torch.rand(4096, 4096, device="cuda")
    for _ in range(200):
        values = torch.nn.functional.normalize(values @ values)
    torch.cuda.synchronize()

    assert first is not None, "NVML has no counter here: is nvidia-ml-py installed?"
    assert energy.joules() > first

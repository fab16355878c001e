"""The machine that is judged: what a described one comes to, and what is read off this one."""

import json
import warnings
from types import SimpleNamespace

import pytest

from preflight import driver, machine, target
from preflight.config import load_config
from preflight.driver import Process
from preflight.target import GIB, Gpu, target_of


@pytest.fixture
def described(project):
    """The target of a described machine."""

    def make(**hardware):
        return target_of(load_config(project.set(hardware=hardware).write()))

    return make


def test_a_card_is_known_by_its_name_alone(described):
    found = described(gpu="T4", memory_gib=16)

    assert not found.local
    assert found.gpus == (Gpu("T4", int(14.56 * GIB), capability=(7, 5), bf16=False, tflops=65, vendor="nvidia"),)
    assert found.host is found.ram is found.driver is found.driver_cards is None


@pytest.mark.parametrize("gpu, said, bf16", [("T4", True, True), ("A100", False, False), ("A100", None, True)])
def test_the_configs_own_word_on_bf16_wins(described, gpu, said, bf16):
    (card,) = described(gpu=gpu, memory_gib=16, **({} if said is None else {"bf16": said})).gpus

    assert card.bf16 is bf16


@pytest.mark.parametrize("said", [None, True])
def test_a_card_that_is_not_in_the_table_is_what_the_config_says(described, said):
    (card,) = described(gpu="Prototype 7", memory_gib=32, **({} if said is None else {"bf16": said})).gpus

    assert card == Gpu("Prototype 7", 32 * GIB, bf16=said)


def test_count_cuda_and_disk_are_the_configs(described):
    found = described(gpu="H100", memory_gib=80, count=8, cuda="12.4", disk_gib=500)

    assert (len(found.gpus), found.cuda, found.disk) == (8, "12.4", 500 * GIB)


def test_a_described_machine_without_a_card(described):
    assert described(count=0).gpus == ()


def test_this_machine(project):
    config = load_config(project.write())

    found = target_of(config)

    assert found.local
    assert found.ram == machine.memory().total
    assert found.disk == pytest.approx(machine.free_bytes(config.output_dir), rel=0.1)
    assert found.host.cores == machine.cores()
    assert 0 < found.host.ram_free <= found.ram


@pytest.fixture
def card(monkeypatch):
    """What torch says of a card: `card(major=7, …)`."""
    import torch

    def pretend(*, hip=None, reserved=0, free=10 * GIB, **values):
        found = SimpleNamespace(
            **{
                "name": "NVIDIA A100-SXM4-40GB",
                "major": 8,
                "minor": 0,
                "total_memory": 39 * GIB,
                "uuid": "1-2",
                **values,
            }
        )
        monkeypatch.setattr(torch.version, "hip", hip)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: found)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, found.total_memory))
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: reserved)
        # What torch says of bf16 counts emulation, and must not be asked.
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", None)
        return target.local_gpu(0)

    return pretend


def test_without_nvml_free_memory_is_torchs_and_processes_are_unknown(card, monkeypatch):
    monkeypatch.setattr(driver, "in_use", lambda uuid: None)

    found = card()

    assert (found.free, found.processes) == (10 * GIB, None)
    assert (found.capability, found.bf16, found.tflops, found.vendor) == ((8, 0), True, 312, "nvidia")


def test_with_nvml_processes_are_named_and_what_this_one_holds_is_free(card, monkeypatch):
    others = (Process(7, "python", 5 * GIB),)
    asked = []
    monkeypatch.setattr(driver, "in_use", lambda uuid: asked.append(uuid) or (30 * GIB, others))

    found = card(reserved=2 * GIB)

    assert asked == ["GPU-1-2"]
    assert (found.free, found.processes) == (32 * GIB, others)


def test_free_is_never_more_than_there_is(card, monkeypatch):
    monkeypatch.setattr(driver, "in_use", lambda uuid: (100 * GIB, ()))

    assert card().free == 39 * GIB


def test_a_card_before_ampere_does_not_compute_in_bf16(card, monkeypatch):
    monkeypatch.setattr(driver, "in_use", lambda uuid: None)

    found = card(name="Tesla T4", major=7, minor=5)

    assert (found.capability, found.bf16) == ((7, 5), False)


@pytest.mark.parametrize("name, bf16", [("AMD Instinct MI300X", True), ("AMD Radeon", None)])
def test_rocms_number_of_an_amd_card_is_no_compute_capability(card, monkeypatch, name, bf16):
    found = card(hip="6.2", name=name, major=9, minor=4)

    assert (found.capability, found.bf16, found.vendor) == (None, bf16, "amd")


@pytest.mark.gpu
def test_a_real_card(project):
    import torch

    for gpu in target_of(load_config(project.write())).gpus:
        assert 0 < gpu.free <= gpu.memory
        assert gpu.capability
        assert gpu.name in [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def test_what_a_clearance_says_of_a_machine_comes_back_as_it_was():
    found = target.Target(local=True, gpus=(Gpu("T4", 14 * GIB, 9 * GIB, (7, 5), bf16=False),), cuda="12.4", ram=GIB)

    written = json.loads(json.dumps(target.facts(found)))

    assert "free" not in written["gpus"][0]
    assert "ram" not in written
    again = target.from_facts(written)
    assert (again.local, again.cuda, again.gpus[0].memory) == (True, "12.4", 14 * GIB)


@pytest.mark.parametrize(
    "cards, words",
    [(0, "no card"), (1, "1 card: T4 (14.6 GiB)"), (2, "2 cards: T4 (14.6 GiB), T4 (14.6 GiB)")],
)
def test_a_machine_in_words(cards, words):
    assert target.in_words(target.Target(local=False, gpus=(Gpu("T4", int(14.56 * GIB)),) * cards)) == words


def test_why_torch_uses_no_card_is_kept(monkeypatch):
    import torch

    def unusable():
        warnings.warn("CUDA initialization: The NVIDIA driver on your\nsystem is too old", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", unusable)
    assert target.local_gpus() == ((), "CUDA initialization: The NVIDIA driver on your system is too old")

    def broken(index):
        raise RuntimeError("CUDA error: the device is busy")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", broken)
    assert target.local_gpus() == ((), "CUDA error: the device is busy")


@pytest.mark.parametrize(
    "readings, believed, waited",
    [
        pytest.param([[70], [70]], [70], 1, id="it rests"),
        pytest.param([[20, 70], [45, 70], [70, 70], [70, 70]], [70, 70], 3, id="a run before gives back what it had"),
        pytest.param([[70], [60], [50], [40], [40]], [40], 4, id="another program takes it"),
        pytest.param([[70], [30]] * 11, [30], 20, id="it never rests"),
    ],
)
def test_free_memory_is_believed_once_it_rests(readings, believed, waited):
    left, pauses = iter(readings), []

    found = target.settled(lambda: [gib * GIB for gib in next(left)], pauses.append)

    assert found == [gib * GIB for gib in believed]
    assert len(pauses) == waited

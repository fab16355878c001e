"""The NVIDIA driver through NVML, and without it."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from preflight import driver
from preflight.driver import Process


class NVMLError(Exception):
    pass


def nvml(**answers):
    """A stand-in for the module `pynvml`: every function answers with its value, or raises it."""

    def answer(value):
        def call(*_):
            if isinstance(value, Exception):
                raise value
            return value

        return call

    known = {"nvmlInit": None, "nvmlShutdown": None, "nvmlDeviceGetHandleByUUID": 1, "nvmlDeviceGetHandleByIndex": 1}
    return SimpleNamespace(NVMLError=NVMLError, **{name: answer(value) for name, value in (known | answers).items()})


@pytest.fixture
def pretend(monkeypatch, tmp_path):
    monkeypatch.setattr(driver, "VERSION", tmp_path / "version")
    monkeypatch.setattr(driver, "CARDS", tmp_path / "gpus")

    def install(module):
        monkeypatch.setitem(sys.modules, "pynvml", module)
        return tmp_path

    return install


def test_nvml_names_version_and_cards(pretend):
    pretend(nvml(nvmlSystemGetDriverVersion="550.54", nvmlDeviceGetCount=2, nvmlDeviceGetName=b"NVIDIA A100-SXM4-80GB"))

    assert driver.version() == "550.54"
    assert driver.card_names() == ("NVIDIA A100-SXM4-80GB",) * 2


@pytest.mark.parametrize("module", [None, nvml(nvmlInit=NVMLError("driver not loaded"))], ids=["absent", "no driver"])
def test_without_nvml_the_file_system_is_read(pretend, module):
    folder = pretend(module)
    assert (driver.version(), driver.card_names(), driver.in_use("GPU-1")) == (None, (), None)

    (folder / "version").write_text("535.104.05\n")
    (folder / "gpus" / "0000:01:00.0").mkdir(parents=True)
    (folder / "gpus" / "0000:01:00.0" / "information").write_text("Model: \t\t Tesla T4\nIRQ:   \t\t 35\n")

    assert driver.version() == "535.104.05"
    assert driver.card_names() == ("Tesla T4",)


def test_other_processes_are_named_and_this_one_is_not(pretend):
    other = os.getppid()
    running = [SimpleNamespace(pid=os.getpid(), usedGpuMemory=9), SimpleNamespace(pid=other, usedGpuMemory=5)]
    gone = [SimpleNamespace(pid=2**22 + 1, usedGpuMemory=None)]
    pretend(
        nvml(
            nvmlDeviceGetMemoryInfo=SimpleNamespace(free=100),
            nvmlDeviceGetComputeRunningProcesses=running,
            nvmlDeviceGetGraphicsRunningProcesses=gone,
        )
    )

    free, (first, second) = driver.in_use("GPU-1")

    assert free == 100
    assert (first.pid, first.memory) == (other, 5)
    assert first.name
    assert second == Process(2**22 + 1, None, None)


def test_a_card_that_nvml_does_not_know_is_unknown(pretend):
    pretend(nvml(nvmlDeviceGetHandleByUUID=NVMLError("not found")))

    assert driver.in_use("GPU-1") is None


@pytest.mark.parametrize("number, version", [(12040, "12.4"), (13000, "13.0"), (0, None)])
def test_the_newest_cuda_of_the_driver(monkeypatch, number, version):
    def get(pointer):
        pointer._obj.value = number
        return 0

    monkeypatch.setattr(driver.ctypes, "CDLL", lambda name: SimpleNamespace(cuDriverGetVersion=get))

    assert driver.cuda_version() == version


def test_no_driver_no_version(monkeypatch):
    def absent(name):
        raise OSError(name)

    monkeypatch.setattr(driver.ctypes, "CDLL", absent)

    assert driver.cuda_version() is None


def test_processes_of_the_same_run_are_no_strangers_and_what_they_hold_is_free(pretend, monkeypatch):
    beside = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    running = [SimpleNamespace(pid=beside.pid, usedGpuMemory=5)]
    answers = {"nvmlDeviceGetComputeRunningProcesses": running, "nvmlDeviceGetGraphicsRunningProcesses": []}
    pretend(nvml(nvmlDeviceGetMemoryInfo=SimpleNamespace(free=100), **answers))
    try:
        assert [process.pid for process in driver.in_use("GPU-1")[1]] == [beside.pid]

        monkeypatch.setenv(driver.LAUNCHER, str(os.getpid()))
        assert driver.in_use("GPU-1") == (105, ())
    finally:
        beside.communicate()


@pytest.mark.parametrize("launcher", ["4194305", "none", ""])
def test_a_launcher_that_is_gone_changes_nothing(monkeypatch, launcher):
    monkeypatch.setenv(driver.LAUNCHER, launcher)

    assert driver._family() == {os.getpid()}

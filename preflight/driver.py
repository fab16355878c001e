"""The NVIDIA driver, asked without CUDA: what cards it has, what is free on them, and who uses them.

NVML answers if `nvidia-ml-py` is installed; what the driver writes to the file system is the second source. Nothing
here makes a CUDA context, which would itself take memory from a card.
"""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSION = Path("/sys/module/nvidia/version")
CARDS = Path("/proc/driver/nvidia/gpus")
LAUNCHER = "PREFLIGHT_LAUNCHER"  # the process that started the trainers of this run, where there are several


@dataclass(frozen=True, slots=True)
class Process:
    """A process on a card.

    Attributes:
        pid: Its number; in a container that of the host, unless the container shares its processes.
        name: Its program; None where that can't be seen.
        memory: Bytes it holds on the card; None where the driver doesn't tell.
    """

    pid: int
    name: str | None
    memory: int | None


def version() -> str | None:
    """The driver's version; None without a driver."""
    with _nvml() as nvml:
        if nvml:
            return _text(nvml.nvmlSystemGetDriverVersion())
    return VERSION.read_text().strip() if VERSION.is_file() else None


def cuda_version() -> str | None:
    """The newest CUDA version that the driver runs; None without a driver."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    number = ctypes.c_int(0)
    failed = library.cuDriverGetVersion(ctypes.byref(number))
    return None if failed or not number.value else f"{number.value // 1000}.{number.value % 1000 // 10}"


def card_names() -> tuple[str, ...]:
    """Every card that the driver has, whether or not torch can use it, or `CUDA_VISIBLE_DEVICES` hides it."""
    with _nvml() as nvml:
        if nvml:
            handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
            return tuple(_text(nvml.nvmlDeviceGetName(handle)) for handle in handles)
    found = (re.search(r"^Model:\s*(.+)$", each.read_text(), re.MULTILINE) for each in CARDS.glob("*/information"))
    return tuple(match[1].strip() for match in found if match)


def in_use(uuid: str) -> tuple[int, tuple[Process, ...]] | None:
    """Free bytes of a card and the processes on it, without those of this run; None where NVML can't tell."""
    with _nvml() as nvml:
        if not nvml:
            return None
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
            free = int(nvml.nvmlDeviceGetMemoryInfo(handle).free)
            listed = [
                *nvml.nvmlDeviceGetComputeRunningProcesses(handle),
                *nvml.nvmlDeviceGetGraphicsRunningProcesses(handle),
            ]
        except nvml.NVMLError:
            return None
        found = {each.pid: Process(each.pid, _program(each.pid), each.usedGpuMemory) for each in listed}
    own = _family()
    free += sum(process.memory or 0 for process in found.values() if process.pid in own - {os.getpid()})
    return free, tuple(process for process in found.values() if process.pid not in own)


def busy(uuid: str) -> float | None:
    """Percent of the last fraction of a second in which a card was at work; None where NVML can't tell."""
    with _nvml() as nvml:
        if not nvml:
            return None
        try:
            return float(nvml.nvmlDeviceGetUtilizationRates(nvml.nvmlDeviceGetHandleByUUID(uuid)).gpu)
        except nvml.NVMLError:
            return None


def energy(uuid: str) -> float | None:
    """Joules that a card has taken since the driver was loaded; None where NVML can't tell."""
    with _nvml() as nvml:
        if not nvml:
            return None
        try:
            return float(nvml.nvmlDeviceGetTotalEnergyConsumption(nvml.nvmlDeviceGetHandleByUUID(uuid))) / 1000
        except nvml.NVMLError:
            return None


@contextmanager
def _nvml() -> Iterator[Any]:
    """NVML, ready to be asked; None where it isn't installed or has no driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # NVML's own errors are classes of a module that may be absent
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _family() -> set[int]:
    """This process, and what the launcher of this run started beside it."""
    import psutil

    launcher = os.environ.get(LAUNCHER)
    try:
        started = psutil.Process(int(launcher)).children(recursive=True) if launcher else []
    except (psutil.Error, ValueError):
        started = []
    return {os.getpid(), *(process.pid for process in started)}


def _program(pid: int) -> str | None:
    """Name of a process's program, never its command line: that may hold secrets."""
    import psutil

    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

"""The machine that will train, as checks judge it: this one, or the one that `hardware` describes."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from preflight import cards, driver, machine
from preflight.config import Config
from preflight.config.sections import Hardware
from preflight.driver import Process
from preflight.findings import counted
from preflight.machine import Host

GIB = 2**30
STEADY = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card.

    Attributes:
        name: As the driver or the config names it.
        memory: Bytes of memory in total, as the driver reports it (a label's 16 GB are 14.6 to 16 GiB).
        free: Bytes that are free now, what this process holds counted as free; None for a card that is only described.
        capability: CUDA compute capability, `(8, 0)` for an A100; None if it isn't known, or has none.
        bf16: Whether its hardware computes in bfloat16 (emulation doesn't count); None if it isn't known.
        tflops: Peak dense fp16/bf16 TFLOP/s by its datasheet; None if it isn't known.
        vendor: `nvidia` or `amd`; None if it isn't known.
        processes: Other processes on it; None where that can't be seen.
    """

    name: str
    memory: int
    free: int | None = None
    capability: tuple[int, int] | None = None
    bf16: bool | None = None
    tflops: float | None = None
    vendor: cards.Vendor | None = None
    processes: tuple[Process, ...] | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The machine that checks judge.

    Attributes:
        local: Whether it is this machine, so that things can be tried and not only compared.
        gpus: Its cards; none means that training runs on the CPU.
        cuda: CUDA version: what torch was built for here, `hardware.cuda` of a described machine.
        driver: Version of the NVIDIA driver; None without one, or where it isn't known.
        ram: Bytes of the host's memory that this process may use; None where it isn't known.
        disk: Bytes free for the output; None where it isn't known.
        problem: Why torch can use none of this machine's cards, in its own words; None if it doesn't say.
        driver_cuda: The newest CUDA version that the driver runs; None without one, or where it isn't known.
        driver_cards: Names of all cards that the driver has, whether torch can use them or not; None if described.
        host: What else this machine has; None if described.
    """

    local: bool
    gpus: tuple[Gpu, ...] = ()
    cuda: str | None = None
    driver: str | None = None
    ram: int | None = None
    disk: int | None = None
    problem: str | None = None
    driver_cuda: str | None = None
    driver_cards: tuple[str, ...] | None = None
    host: Host | None = field(default=None, compare=False)


def target_of(config: Config) -> Target:
    """The machine that the config's `hardware` names."""
    described = config.hardware
    if described.is_local:
        return local_target(config.output_dir)
    disk = None if described.disk_gib is None else int(described.disk_gib * GIB)
    gpus = (described_gpu(described),) * (described.count or 0)
    return Target(local=False, gpus=gpus, cuda=described.cuda, disk=disk)


def described_gpu(described: Hardware) -> Gpu:
    """The card that `hardware` describes: what it says, and what is known of a card of that name."""
    name, gib = described.gpu or "", described.memory_gib or 0
    card = cards.find_card(name)
    if card is None:
        return Gpu(name, int(gib * GIB), bf16=described.bf16)
    return Gpu(
        name,
        int(card.reported(gib) * GIB),
        capability=card.capability,
        bf16=card.bf16 if described.bf16 is None else described.bf16,
        tflops=cards.peak(name),
        vendor=card.vendor,
    )


def local_target(output: Path) -> Target:
    """This machine, for a run that writes to a folder, which need not exist yet."""
    import torch

    gpus, problem = local_gpus()
    free = settled(lambda: [gpu.free or 0 for gpu in local_gpus()[0]]) if gpus else []
    return Target(
        local=True,
        gpus=tuple(replace(gpu, free=now) for gpu, now in zip(gpus, free, strict=True)),
        problem=problem,
        cuda=torch.version.cuda,
        driver=driver.version(),
        ram=machine.memory().total,
        disk=machine.free_bytes(output),
        driver_cuda=driver.cuda_version(),
        driver_cards=driver.card_names(),
        host=machine.host(output),
    )


def settled(read: Callable[[], Sequence[int]], wait: Callable[[float], object] = time.sleep) -> list[int]:
    """Bytes that are free on each card once they have come to rest: a run that has just ended gives back what it had.

    Args:
        read: Reads them, at half a second's distance.
        wait: Waits for so many seconds.

    Returns:
        The first reading that differs by less than 64 MiB from the one before; the least of each after ten seconds.
    """
    readings = [read()]
    for _ in range(20):
        wait(0.5)
        readings.append(read())
        if all(abs(now - before) < STEADY for before, now in zip(*readings[-2:], strict=True)):
            return list(readings[-1])
    return [min(each) for each in zip(*readings, strict=True)]


def local_gpus() -> tuple[tuple[Gpu, ...], str | None]:
    """The cards that torch can use here, and why it can use none, if it says so."""
    import torch

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")  # torch warns of a driver that is too old, and goes on without a card
        try:
            gpus = tuple(map(local_gpu, range(torch.cuda.device_count()))) if torch.cuda.is_available() else ()
        except RuntimeError as error:  # a card that fell off the bus, or is used exclusively
            return (), " ".join(str(error).split())
    about = [" ".join(str(each.message).split()) for each in said if "CUDA" in str(each.message)]
    return gpus, about[0] if about and not gpus else None


def local_gpu(index: int) -> Gpu:
    """A card that torch can use here."""
    import torch

    found = torch.cuda.get_device_properties(index)
    amd = torch.version.hip is not None  # torch numbers AMD's architectures too, but they aren't compute capabilities
    capability = None if amd else (found.major, found.minor)
    card = cards.find_card(found.name)
    known = None if amd else driver.in_use(f"GPU-{found.uuid}")
    # Without NVML torch must make a context first, which takes some of what is free.
    free, processes = known or (torch.cuda.mem_get_info(index)[0], None)
    return Gpu(
        found.name,
        found.total_memory,
        min(free + torch.cuda.memory_reserved(index), found.total_memory),
        capability,
        bf16=capability >= cards.BF16 if capability else card.bf16 if card else None,
        tflops=cards.peak(found.name),
        vendor="amd" if amd else "nvidia",
        processes=processes,
    )


def facts(target: Target) -> dict[str, Any]:
    """What a clearance says of the machine that was judged: nothing that changes from one minute to the next."""
    kept = ("name", "memory", "capability", "bf16")
    cards_of_it = [{name: value for name, value in asdict(gpu).items() if name in kept} for gpu in target.gpus]
    return {"local": target.local, "gpus": cards_of_it, "cuda": target.cuda, "driver": target.driver}


def from_facts(found: Mapping[str, Any]) -> Target:
    """The machine of which `facts` were written down."""
    return Target(**{**found, "gpus": tuple(Gpu(**gpu) for gpu in found["gpus"])})


def in_words(target: Target) -> str:
    """Its cards: `2 cards: NVIDIA L4 (22.0 GiB), NVIDIA L4 (22.0 GiB)`, or `no card`."""
    named = ", ".join(f"{gpu.name} ({gpu.memory / GIB:.1f} GiB)" for gpu in target.gpus)
    return f"{counted(len(target.gpus), 'card')}: {named}" if named else "no card"

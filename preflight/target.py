"""The machine that will train, as checks judge it: this one, or the one that `hardware` describes."""

from dataclasses import dataclass

from preflight.config import Config

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card.

    Attributes:
        name: As the driver or the config names it.
        memory: Bytes of memory in total, as the driver reports it (a label's 16 GB are 14.6 to 16 GiB).
        free: Bytes that are free now; None for a card that is only described.
        capability: CUDA compute capability, `(8, 0)` for an A100; None if it isn't known.
        bf16: Whether its hardware computes in bfloat16 (emulation doesn't count); None if it isn't known.
    """

    name: str
    memory: int
    free: int | None = None
    capability: tuple[int, int] | None = None
    bf16: bool | None = None


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
    """

    local: bool
    gpus: tuple[Gpu, ...] = ()
    cuda: str | None = None
    driver: str | None = None
    ram: int | None = None
    disk: int | None = None


def target_of(config: Config) -> Target:
    """The machine that the config's `hardware` names."""
    described = config.hardware
    if described.is_local:
        return local_target(config)
    memory = int((described.memory_gib or 0) * GIB)
    card = Gpu(described.gpu or "", memory, bf16=described.bf16)
    disk = None if described.disk_gib is None else int(described.disk_gib * GIB)
    return Target(local=False, gpus=(card,) * (described.count or 0), cuda=described.cuda, disk=disk)


def local_target(config: Config) -> Target:
    """This machine."""
    import torch

    from preflight.machine import free_bytes

    cards = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            free, total = torch.cuda.mem_get_info(index)
            capability = torch.cuda.get_device_capability(index)
            cards.append(Gpu(properties.name, total, free, capability, bf16=capability >= (8, 0)))
    return Target(local=True, gpus=tuple(cards), cuda=torch.version.cuda, disk=free_bytes(config.output_dir))

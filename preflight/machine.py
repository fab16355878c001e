"""What this computer has, as the checks see it. Versions come from metadata: no library is imported for its version."""

import math
import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

# The packages whose behaviour decides what a run does; a clearance binds their versions.
BOUND = ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "tokenizers", "datasets")
OWN = "finetune-preflight"
SHARED_MEMORY = Path("/dev/shm")
GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the host's memory that this process may use, and of those that are free now."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Host:
    """What this machine has besides cards; limits are those of this process, `math.inf` where there is none.

    Attributes:
        cores: Processors this process may use.
        ram_free: Bytes of memory that are free for it now.
        shm: Bytes of `/dev/shm` in total; None where there is none.
        file_system: Type of the file system that the output goes to: `ext4`, `overlay`, `nfs4`, …; None if unknown.
        open_files: Files it may have open.
        locked_memory: Bytes of memory it may pin.
        clock: This machine's time, in seconds since 1970.
    """

    cores: int
    ram_free: int
    shm: int | None
    file_system: str | None
    open_files: float
    locked_memory: float
    clock: float


def versions() -> Mapping[str, str]:
    """Installed versions of the packages that a clearance binds; those that aren't installed are left out."""
    return installed(*BOUND, OWN)


def installed(*names: str) -> dict[str, str]:
    """Versions of those of these packages that are installed."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def environment() -> dict[str, str]:
    """Versions and platform, for reports and run cards. Holds nothing secret."""
    return {"python": platform.python_version(), "platform": platform.platform(), **versions()}


def host(output: Path) -> Host:
    """This machine, for a run that writes to a folder, which need not exist yet."""
    return Host(
        cores=cores(),
        ram_free=memory().free,
        shm=shutil.disk_usage(SHARED_MEMORY).total if SHARED_MEMORY.is_dir() else None,
        file_system=file_system(output),
        open_files=_limit("RLIMIT_NOFILE"),
        locked_memory=_limit("RLIMIT_MEMLOCK"),
        clock=time.time(),
    )


def free_bytes(path: Path) -> int:
    """Free space for this user on the file system that holds `path`, which need not exist yet."""
    return shutil.disk_usage(_existing(path)).free


def free_files(path: Path) -> int | None:
    """How many more files the file system that holds `path` can have for this user; None if it counts none."""
    if not hasattr(os, "statvfs"):
        return None  # on Windows
    found = os.statvfs(_existing(path))
    return found.f_favail if found.f_files else None


def file_system(path: Path) -> str | None:
    """Type of the file system that holds `path`, which need not exist yet; None if it can't be told."""
    import psutil

    path = _existing(path).resolve()
    mounted = [part for part in psutil.disk_partitions(all=True) if path.is_relative_to(part.mountpoint)]
    # Of two mounts on one folder the later one is seen.
    return max(reversed(mounted), key=lambda part: len(part.mountpoint)).fstype or None if mounted else None


def cores() -> int:
    """Processors this process may use: its affinity, capped by the quota of its control groups."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [q for q in map(_quota, _groups("cpu")) if q is not None]
    return max(1, min([count, *(math.ceil(quota) for quota in quotas)]))


def memory() -> Memory:
    """The host's memory, capped by the limits of this process's control groups."""
    import psutil

    seen = psutil.virtual_memory()
    total, free = int(seen.total), int(seen.available)
    for group in _groups("memory"):
        limit = _number(group, "memory.max", "memory.limit_in_bytes")
        if limit is None or limit >= seen.total:
            continue
        used = _number(group, "memory.current", "memory.usage_in_bytes") or 0
        total = min(total, limit)
        free = min(free, max(limit - used + _reclaimable(group), 0))
    return Memory(total, free)


def _groups(controller: str) -> Iterator[Path]:
    """Folders of this process's control groups for a controller, version 2 and 1, from its own up to the root.

    In a container the own path is often one of the host that can't be seen; its parents end at the container's root.
    """
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = GROUPS / controllers if controllers else GROUPS
        own = Path(path.lstrip("/"))
        yield from (root / part for part in (own, *own.parents) if (root / part).is_dir())


def _quota(group: Path) -> float | None:
    """Processors that a control group may use at a time."""
    quota, period = _number(group, "cpu.cfs_quota_us"), _number(group, "cpu.cfs_period_us")
    if (group / "cpu.max").is_file():
        words = (group / "cpu.max").read_text().split()
        quota, period = (int(word) if word.isdigit() else None for word in (*words, "")[:2])
    return quota / period if quota and period and quota > 0 else None


def _number(group: Path, *names: str) -> int | None:
    """The number in the first of these files that there is; None for none, and for `max`."""
    for name in names:
        try:
            return int((group / name).read_text())
        except (OSError, ValueError):
            continue
    return None


def _reclaimable(group: Path) -> int:
    """Bytes of a control group that only cache files, which go when memory is needed."""
    try:
        words = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int(words.get("total_inactive_file") or words.get("inactive_file") or 0)
    except (OSError, ValueError):
        return 0


def _limit(name: str) -> float:
    try:
        import resource
    except ImportError:  # not on Windows
        return math.inf
    soft, _ = resource.getrlimit(getattr(resource, name))
    return math.inf if soft == resource.RLIM_INFINITY else soft


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path

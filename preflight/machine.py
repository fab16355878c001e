"""What this computer has, as the checks see it. Versions come from metadata: no library is imported for its version."""

import os
import platform
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

# The packages whose behaviour decides what a run does; a clearance binds their versions.
BOUND = ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "tokenizers", "datasets")
OWN = "finetune-preflight"


def versions() -> Mapping[str, str]:
    """Installed versions of the packages that a clearance binds; those that aren't installed are left out."""
    found: dict[str, str] = {}
    for name in (*BOUND, OWN):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def environment() -> dict[str, str]:
    """Versions and platform, for reports and run cards. Holds nothing secret."""
    return {"python": platform.python_version(), "platform": platform.platform(), **versions()}


def free_bytes(path: Path) -> int:
    """Free space for this user on the file system that holds `path`, which need not exist yet."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

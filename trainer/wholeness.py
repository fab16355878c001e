"""Whether all that resuming needs is in a checkpoint, and can be read to its end. Nothing is unpickled to find out."""

import errno
import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATE = "trainer_state.json"
INDEX = "model.safetensors.index.json"
# What holds the optimizer, and what the weights: of one process or DDP, of FSDP whole or in parts, of DeepSpeed.
ENGINES: Mapping[str, tuple[str, ...]] = {
    "optimizer.pt": ("adapter_model.safetensors", "model.safetensors", INDEX),
    "optimizer.bin": ("pytorch_model_fsdp.bin",),
    "optimizer_0/*.distcp": ("pytorch_model_fsdp_0/*.distcp",),
    "latest": ("global_step*/*model_states.pt",),
}
FOR_RESUMING = ("optimizer", "scheduler", "rng_state", "latest", "global_step")


@dataclass(frozen=True)
class PassedOver:
    """A checkpoint that a run can't go on from.

    Attributes:
        path: Its folder.
        why: What is wrong with it, as the end of a sentence about it.
        half: Whether it wasn't written to its end, or lost a part since: it is of no use to anybody.
    """

    path: Path
    why: str
    half: bool = True

    def __str__(self) -> str:
        return f"{self.path.name} {f'is incomplete ({self.why})' if self.half else self.why}: skipped"


def flaw(path: Path, processes: int | None = None) -> PassedOver | None:
    """Why a run can't go on from a checkpoint; None if it can.

    Reading the checksums takes a third of a second per GiB. torch doesn't look at them when it loads.

    Args:
        path: The checkpoint.
        processes: How many processes wrote it; as many as left something if not given.

    Raises:
        OSError: a file can't be read now; it may be whole.
    """
    if why := next(_damage(path), None):
        return PassedOver(path, why)
    missing = [*_missing(path, processes)]
    if missing[:1] == ["optimizer.pt"] and not any(file.name.startswith(FOR_RESUMING) for file in path.iterdir()):
        return PassedOver(path, "holds weights alone (`save_only_model`)", half=False)
    if missing:
        return PassedOver(path, f"{missing[0]} is missing")
    if name := next(_not_finite(path), None):
        return PassedOver(path, f"holds weights that are not finite ({name})", half=False)
    return None


def tensors(path: Path) -> Iterator[tuple[str, Any]]:
    """Name and tensor of all weights in a checkpoint's safetensors files; none of a checkpoint in parts."""
    from safetensors import safe_open

    for file in sorted(path.glob("*.safetensors")):
        with safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - it is no dict
                yield name, opened.get_tensor(name)


def _damage(path: Path) -> Iterator[str]:
    """What is wrong with what is there; `trainer_state.json` is always: it is written last."""
    state = _json(path / STATE)
    if state is None:
        yield f"{STATE} is {'cut off' if (path / STATE).is_file() else 'missing'}"
    elif str(state.get("global_step")) != path.name.rpartition("-")[2]:
        yield f"{STATE} is of step {state.get('global_step')}"
    for file in sorted(path.rglob("*")):
        if file.suffix in (".pt", ".pth", ".bin"):
            yield from _damaged_archive(file)
        elif file.suffix == ".safetensors":
            yield from _damaged_tensors(file)
        elif file.suffix == ".distcp" and not (file.parent / ".metadata").is_file():
            yield f"{file.parent.name} is cut off"
    if (path / INDEX).is_file():
        shards = sorted({*(_json(path / INDEX) or {}).get("weight_map", {}).values()})
        if not shards:
            yield f"{INDEX} is cut off"
        yield from (f"{name} is missing" for name in shards if not (path / name).is_file())


def _damaged_archive(file: Path) -> Iterator[str]:
    """`torch.save` writes zip archives: one that is cut off has no directory, and each part has a checksum."""
    try:
        with zipfile.ZipFile(file) as archive:
            part = archive.testzip()
    except OSError as error:
        if error.errno != errno.EINVAL:  # a directory that points nowhere
            raise
        part = file.name
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError):
        yield f"{file.name} is cut off"
        return
    if part is not None:
        yield f"{file.name} is damaged"


def _damaged_tensors(file: Path) -> Iterator[str]:
    """The header of safetensors covers the file to its last byte."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt"):
            pass
    except SafetensorError:
        yield f"{file.name} is cut off"


def _missing(path: Path, processes: int | None) -> Iterator[str]:
    """What isn't there of all that resuming needs."""
    engine = next((name for name in ENGINES if any(path.glob(name))), "optimizer.pt")
    if not any(any(path.glob(name)) for name in ENGINES[engine]):
        yield ENGINES[engine][0]
    needed = [engine, *_random_states(path, processes)]
    if engine != "latest":  # DeepSpeed keeps it with the weights
        needed.append("scheduler.pt")
    yield from (name for name in needed if not any(path.glob(name)))


def _random_states(path: Path, processes: int | None) -> list[str]:
    """A file of each process: dropout and the order of the data depend on it."""
    if processes is None:
        numbered = [file.stem.rpartition("_")[2] for file in path.glob("rng_state_*.pth")]
        processes = max((int(number) + 1 for number in numbered if number.isdecimal()), default=1)
        # One alone has no number: a first of several is there for certain, and there was a second.
        processes = max(processes, 2) if numbered else 1
    return ["rng_state.pth"] if processes == 1 else [f"rng_state_{rank}.pth" for rank in range(processes)]


def _not_finite(path: Path) -> Iterator[str]:
    import torch

    for name, tensor in tensors(path):
        if not tensor.is_floating_point() or tensor.element_size() == 1:  # there is no norm of 8 bits
            continue
        if not math.isfinite(torch.linalg.vector_norm(tensor, dtype=torch.float32)):
            yield name


def _json(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(_text(file))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""

"""Weights of two folders, compared tensor by tensor: neither is loaded whole."""

from pathlib import Path

from preflight import digests
from preflight.evaluation.adapter import Unreadable
from preflight.model.build import short


def differing(folder: Path, other: Path) -> tuple[list[str], int]:
    """Names of tensors that differ between the safetensors files of two folders, and how many there are.

    Raises:
        Unreadable: a file of either is damaged.
    """
    from safetensors import SafetensorError

    mine, theirs = (sorted(one.glob("*.safetensors")) for one in (folder, other))
    try:
        places, others = _places(mine), _places(theirs)
        if [digests.of_file(path) for path in mine] == [digests.of_file(path) for path in theirs]:
            return [], len(places)
        odd = [name for name in places.keys() & others.keys() if not _same(places[name], others[name], name)]
    except (SafetensorError, OSError) as error:
        raise Unreadable(f"the weights can't be compared: {short(error)}; see POST-102") from error
    return sorted([*odd, *(places.keys() ^ others.keys())]), len(places.keys() | others.keys())


def _places(files: list[Path]) -> dict[str, Path]:
    from safetensors import safe_open

    found: dict[str, Path] = {}
    for path in files:
        with safe_open(path, "pt") as opened:
            found |= dict.fromkeys(opened.keys(), path)
    return found


def _same(one: Path, other: Path, name: str) -> bool:
    """Whether a tensor is the same in two files, but for the width of its type."""
    import torch
    from safetensors import safe_open

    with safe_open(one, "pt") as first, safe_open(other, "pt") as second:
        mine, theirs = first.get_tensor(name), second.get_tensor(name)
    return mine.shape == theirs.shape and torch.equal(mine, theirs.to(mine.dtype))

"""Which cards the kernels of a build run on."""

import re
from collections.abc import Sequence


def runs_on(capability: tuple[int, int], built: Sequence[str]) -> bool:
    """Whether a build has kernels for a card.

    A binary (`sm_80`) runs on cards of the same major version and at least its minor one; PTX (`compute_90`) is
    compiled for every later one (CUDA C++ Programming Guide, "Application Compatibility").

    Args:
        capability: The card's.
        built: `torch.cuda.get_arch_list()`; nothing known counts as built.
    """
    found = [re.fullmatch(r"(sm|compute)_(\d+)(\d)[af]?", arch) for arch in built]
    kernels = [(match[1], int(match[2]), int(match[3])) for match in found if match]
    return not kernels or any(
        (major, minor) <= capability if kind == "compute" else major == capability[0] and minor <= capability[1]
        for kind, major, minor in kernels
    )

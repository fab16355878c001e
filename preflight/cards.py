"""Cards that people train on, by the names that drivers, clouds and people give them.

Compute capabilities are NVIDIA's (developer.nvidia.com/cuda-gpus). Memory is what CUDA reports to torch: the lowest
seen in out-of-memory messages on Linux ("GPU 0 has a total capacity of 14.56 GiB"), of a card's own or of one of the
same series and size. A label's 16 GB hold less.

TFLOP/s are the peak of the tensor cores in fp16 or bf16 with fp32 accumulation, without sparsity, from NVIDIA's
datasheets and, of GeForce and RTX cards, the architecture whitepapers (Turing, GA102, Ada, RTX Blackwell); datasheets
that give only the figure with sparsity are halved. Cards without such a figure have none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Vendor = Literal["nvidia", "amd"]
Capability = tuple[int, int]
BF16 = (8, 0)  # the first whose hardware computes in bfloat16; before it, torch emulates


@dataclass(frozen=True)
class Card:
    """A kind of card.

    Attributes:
        words: A regular expression of what its name holds.
        capability: CUDA compute capability; None for a card that isn't NVIDIA's.
        memory: GiB that CUDA reports, by the label's GB.
        tflops: Dense fp16/bf16 TFLOP/s with fp32 accumulation; None if there is no such figure.
        vendor: Whose it is.
    """

    words: str
    capability: Capability | None
    memory: Mapping[float, float] = field(default_factory=dict)
    tflops: float | None = None
    vendor: Vendor = "nvidia"

    @property
    def bf16(self) -> bool:
        """Whether its hardware computes in bfloat16; AMD's Instinct cards do."""
        return self.capability is None or self.capability >= BF16

    def reported(self, gib: float) -> float:
        """What the driver reports for a card of which the config says that it has so many GiB."""
        larger = [reported for label, reported in sorted(self.memory.items()) if label >= gib]
        return min([gib, *larger[:1]])


# Of two rows that match, the first counts: a variant stands before what its name begins with.
NVIDIA = (
    Card("k80", (3, 7), {12: 11.17}),
    Card("m40|m60", (5, 2)),
    # Pascal and Volta: datasheets of P100 (SXM2) and V100 (SXM2, PCIe).
    Card("p100", (6, 0), {12: 11.91, 16: 15.89}, 21.2),
    Card("p40", (6, 1), {24: 22.38}),
    Card("p4|(gtx ?)?10[5-8]0( ?ti)?|titan xp?", (6, 1)),
    Card("v100s", (7, 0), {32: 31.73}, 130),
    Card("v100.*pcie", (7, 0), {16: 15.77, 32: 31.73}, 112),
    Card("v100", (7, 0), {16: 15.77, 32: 31.73}, 125),
    Card("titan v", (7, 0), {12: 11.78}),
    # Turing: T4 datasheet, Turing whitepaper (reference cards).
    Card("t4g?", (7, 5), {16: 14.56}, 65),
    Card("(quadro )?rtx ?8000", (7, 5), {48: 47.4}, 130.5),
    Card("quadro rtx ?6000", (7, 5), {24: 23.5}, 130.5),
    Card("quadro rtx ?[345]000", (7, 5)),
    Card("titan rtx", (7, 5), {24: 23.5}, 130.5),
    Card("(rtx ?)?2080 ?ti", (7, 5), {11: 10.75}, 53.8),
    Card("(rtx ?)?2080( ?super)?", (7, 5), {8: 7.6}, 40.3),
    Card("(rtx ?)?2070( ?super)?", (7, 5), {8: 7.6}, 29.9),
    Card("(rtx ?)?2060( ?super)?|(gtx ?)?16[56]0( ?ti| ?super)?", (7, 5)),
    # Ampere: datasheets of A100, A30, A10, A10G, A16, A2, A40 and the RTX A cards; GA102 whitepaper.
    Card("a100|a800", (8, 0), {40: 39.39, 80: 79.14}, 312),
    Card("a30", (8, 0), {24: 23.5}, 165),
    Card("a10g", (8, 6), {24: 22.05}, 70),
    Card("a10", (8, 6), {24: 22.05}, 125),
    Card("a16", (8, 6), {16: 14.5}, 17.9),
    Card("a2", (8, 6), {16: 14.5}, 18),
    Card("a40", (8, 6), {48: 44.35}, 149.7),
    Card("(rtx ?)?a6000", (8, 6), {48: 47.4}, 154.8),
    Card("(rtx ?)?a5500", (8, 6), {24: 23.5}),
    Card("(rtx ?)?a5000", (8, 6), {24: 23.5}, 111.1),
    Card("(rtx ?)?a4500", (8, 6), {20: 19.5}),
    Card("(rtx ?)?a4000", (8, 6), {16: 15.55}, 76.7),
    Card("(rtx ?)?a[23]000", (8, 6)),
    Card("(rtx ?)?3090 ?ti", (8, 6), {24: 23.55}, 80),
    Card("(rtx ?)?3090", (8, 6), {24: 23.55}, 71),
    Card("(rtx ?)?3080 ?ti", (8, 6), {12: 11.6}),
    Card("(rtx ?)?3080", (8, 6), {10: 9.6, 12: 11.6}, 59.5),
    Card("(rtx ?)?3070 ?ti", (8, 6), {8: 7.6}),
    Card("(rtx ?)?3070", (8, 6), {8: 7.6}, 40.6),
    Card("(rtx ?)?3060( ?ti)?|(rtx ?)?3050( ?ti)?", (8, 6), {8: 7.6, 12: 11.6}),
    Card("orin", (8, 7)),
    # Ada: datasheets of L4, L40 and L40S, Ada whitepapers (GeForce; RTX 6000).
    Card("l4", (8, 9), {24: 22.03}, 121),
    Card("l40s", (8, 9), {48: 44.35}, 362.05),
    Card("l40", (8, 9), {48: 44.35}, 181.05),
    Card("rtx ?6000 ada.*", (8, 9), {48: 47.4}, 364.2),
    Card("rtx ?[2-5][05]00( sff)? ada.*", (8, 9), {16: 15.55, 20: 19.5, 24: 23.5, 32: 31.3}),
    Card("(rtx ?)?4090 ?d", (8, 9), {24: 23.5}),
    Card("(rtx ?)?4090", (8, 9), {24: 23.5}, 165.2),
    Card("(rtx ?)?4080 ?super", (8, 9), {16: 15.55}),
    Card("(rtx ?)?4080", (8, 9), {16: 15.55}, 97.5),
    Card("(rtx ?)?40[5-7]0( ?ti)?( ?super)?", (8, 9), {8: 7.6, 12: 11.55, 16: 15.55}),
    # Hopper: datasheets of H100, H200, GH200; H800 has the tensor cores of H100.
    Card("h100.*nvl", (9, 0), {94: 93.02}, 835),
    Card("(h100|h800).*pcie", (9, 0), {80: 79.1}, 756),
    Card("h200.*nvl", (9, 0), {141: 139.72}, 835),
    Card("(h100|h800)( ?sxm[0-9]?)?", (9, 0), {80: 79.1, 94: 93.02, 96: 93.02}, 989),
    Card("h200( ?sxm[0-9]?)?", (9, 0), {141: 139.72}, 989),
    Card("gh200", (9, 0), {96: 94.5, 144: 139.72}, 989),
    Card("h20", (9, 0), {96: 95.0}, 148),
    # Blackwell: datasheet of the HGX B200 and GB200, RTX Blackwell whitepapers.
    Card("g?b200", (10, 0), {180: 178.35, 192: 178.35}, 2250),
    Card("g?b300", (10, 3), {288: 267.69}),
    Card("rtx pro 6000.*", (12, 0), {96: 94.5}, 503.8),
    Card("rtx pro [0-9]{4}.*", (12, 0)),
    Card("(rtx ?)?5090", (12, 0), {32: 31.35}, 209.5),
    Card("(rtx ?)?5080", (12, 0), {16: 15.46}, 112.6),
    Card("(rtx ?)?5070 ?ti", (12, 0), {16: 15.46}, 87.9),
    Card("(rtx ?)?5070", (12, 0), {12: 11.49}, 61.7),
    Card("(rtx ?)?50[56]0( ?ti)?", (12, 0), {8: 7.5, 16: 15.46}),
    Card("gb10|dgx spark", (12, 1)),
)
AMD = (Card("mi300x", None, {192: 191.45}, vendor="amd"), Card("mi[1-4][0-9]{2}[ax]?", None, vendor="amd"))


def find_card(name: str) -> Card | None:
    """The card of a name such as `T4`, `NVIDIA A100-SXM4-80GB` or `rtx4090`; None if it isn't in the table."""
    words = " ".join(re.findall(r"[a-z0-9]+", name.lower()))
    cards = (*NVIDIA, *AMD)
    return next((card for card in cards if re.search(rf"(?<![a-z0-9])(?:{card.words})(?![a-z0-9])", words)), None)


def peak(name: str) -> float | None:
    """TFLOP/s of the card of that name; None where it isn't known, and of a slice of a card or a laptop's, slower."""
    card = find_card(name)
    part = re.search(r"\b(mig|laptop|mobile|max-q)\b", name.lower())
    return None if card is None or part else card.tflops

from packaging.version import InvalidVersion, Version

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.target import Target

# The oldest driver for each CUDA major version (NVIDIA, "Minor Version Compatibility", Table 1).
DRIVERS = {13: 580, 12: 525, 11: 450}
OLDEST = Version("11.8")


@check("ENV-102", "cuda-version", severity="required", section=2, item="CUDA version: >= 11.8 for bitsandbytes")
def cuda_is_new_enough_and_the_driver_runs_it(config: Config, target: Target, evidence: Evidence) -> None:
    """CUDA is 11.8 or newer, and the driver runs the CUDA that torch was built for.

    What it checks: The CUDA version of the installed torch, or `hardware.cuda` of a described machine, against 11.8;
    and the driver's version against the oldest one for that CUDA's major version.
    Why it matters: bitsandbytes has no library for an older CUDA. With a driver that is too old torch sees no card, and
    the run trains on the CPU, or stops.
    How to fix: Install a torch that is built for the driver's CUDA, or a newer driver.
    Evidence: the checklist's 11.8; NVIDIA's table of minimum drivers: 580 for CUDA 13, 525 for 12, 450 for 11.
    bitsandbytes-foundation/bitsandbytes#1559.
    """
    if target.cuda is None:
        not_applicable("no CUDA: torch is built without it" if target.local else "hardware.cuda isn't given")
    driver = f", driver {target.driver}" if target.driver else ""
    evidence(f"CUDA {target.cuda}{driver}", cuda=target.cuda, driver=target.driver, driver_cuda=target.driver_cuda)
    try:
        cuda = Version(str(target.cuda))
        installed = Version(target.driver) if target.driver else None
    except InvalidVersion:
        not_applicable(f"{target.cuda!r} is not a version")
    findings = []
    if cuda < OLDEST:
        findings.append(
            Finding(
                f"CUDA {cuda} is older than {OLDEST}",
                where=config.where("hardware.cuda"),
                observed=str(cuda),
                expected=f"{OLDEST} or newer",
                why="bitsandbytes, and torch itself, have no libraries for it.",
                fix="Install a torch that is built for CUDA 12 or 13.",
            )
        )
    needed = DRIVERS.get(cuda.major)
    if installed is not None and needed is not None and installed.major < needed:
        findings.append(
            Finding(
                f"driver {target.driver} can't run CUDA {cuda}",
                observed=str(target.driver),
                expected=f"{needed} or newer",
                why="torch sees no card: the run trains on the CPU, or stops.",
                fix=f"Install driver {needed} or newer, or a torch built for CUDA {target.driver_cuda or '12'}.",
            )
        )
    report_findings(findings)


@check(
    "ENV-103", "cards-usable", severity="recommended", section=2, item="VRAM available: sufficient for chosen method"
)
def torch_can_use_a_card_if_there_is_one(config: Config, target: Target, evidence: Evidence) -> None:
    """`torch` can use a card of this machine, if the driver has one.

    What it checks: The cards that the driver lists against those that torch can use.
    Why it matters: A torch built without CUDA, or a wrong `CUDA_VISIBLE_DEVICES`, makes no error: the run trains on the
    CPU, a hundred times slower.
    How to fix: Install a torch that is built for the driver's CUDA, or correct `CUDA_VISIBLE_DEVICES`.
    Evidence: `torch.cuda.is_available()` is all that transformers asks before it falls back to the CPU.
    """
    if not target.local or not target.driver_cards:
        not_applicable("hardware describes another machine" if not target.local else "the driver has no card here")
    listed = len(target.driver_cards)
    evidence(f"{len(target.gpus)} of {listed} cards", usable=len(target.gpus), listed=listed)
    if target.gpus:
        return
    report_findings(
        [
            Finding(
                f"the driver has {listed} cards, and torch can use none",
                where=config.where("hardware"),
                observed=target.problem or ("torch is built without CUDA" if target.cuda is None else "none visible"),
                expected="a card",
                why="The run trains on the CPU, a hundred times slower.",
                fix="Install a torch that is built for CUDA, or look at CUDA_VISIBLE_DEVICES.",
            )
        ]
    )


@check("ENV-104", "card-in-build", severity="required", section=2, item="PyTorch: >= 2.0 recommended")
def torch_has_kernels_for_the_card(config: Config, target: Target, evidence: Evidence) -> None:
    """The installed torch has kernels for the card.

    What it checks: The card's compute capability against the architectures that torch was built for, here: binaries of
    the same major version, or PTX of an older one.
    Why it matters: `torch.cuda.is_available()` says yes, and the first kernel stops with "no kernel image is
    available".
    How to fix: Install a torch that is built for the card: a newer CUDA for new cards, an older torch for old ones.
    Evidence: pytorch/pytorch#149845, pytorch/pytorch#167244 (new and old cards).
    """
    if not target.local or not target.gpus or target.cuda is None:
        not_applicable("there is no CUDA card here to try")
    import torch

    from preflight.environment.kernels import runs_on

    built = torch.cuda.get_arch_list()
    evidence(", ".join(built), built=built)
    report_findings(
        [
            Finding(
                f"this torch has no kernels for {gpu.name}",
                observed=f"compute capability {gpu.capability[0]}.{gpu.capability[1]}, built for {', '.join(built)}",
                expected=f"sm_{gpu.capability[0]}{gpu.capability[1]}",
                why="The first kernel stops: no kernel image is available.",
                fix="Install a torch that is built for this card.",
            )
            for gpu in target.gpus
            if gpu.capability is not None and not runs_on(gpu.capability, built)
        ]
    )

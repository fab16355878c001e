from types import SimpleNamespace

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.target import GIB, Target, in_words


@check(
    "ENV-140",
    "cleared-machine",
    severity="required",
    section=2,
    item="GPU available: the machine that trains is the one that was judged",
    machine=True,
    thresholds={"max_less": 0.02},
)
def the_machine_is_one_that_was_cleared_for(
    config: Config, cleared_for: Target, target: Target, limits: SimpleNamespace, evidence: Evidence
) -> None:
    """The machine that trains has the cards that the run was cleared for.

    What it checks: When training starts, the cards that torch can use, against those of the machine that was judged:
    the one that `hardware` describes, or the one where the gate ran. As many, each with as much memory; what drivers
    report of one kind of card differs by up to 1 %, so 2 % less are let pass.
    Why it matters: A torch without CUDA or a hidden card makes no error: the run trains on the CPU, or with another
    number of processes, and so with another batch and schedule than were judged.
    How to fix: Start it on the machine that was described, make its cards visible, or describe this one in `hardware`
    and clear the run again.
    Evidence: Reported memory of one kind of card, 79.1 to 79.3 GiB of an A100 and 23.5 to 23.7 of an RTX 4090, is that
    of out-of-memory messages in public issues.
    """
    evidence(f"{in_words(target)}; cleared for {in_words(cleared_for)}", cards=len(target.gpus))
    findings = []
    if len(target.gpus) < len(cleared_for.gpus):
        findings.append(
            Finding(
                f"torch can use {counted(len(target.gpus), 'card')} here, and the run was cleared for "
                f"{len(cleared_for.gpus)}",
                where=config.where("hardware"),
                observed=target.problem or in_words(target),
                expected=in_words(cleared_for),
                why=_why(target),
                fix=_fix(target),
            )
        )
    least = min((gpu.memory for gpu in target.gpus), default=None)
    wanted = min((gpu.memory for gpu in cleared_for.gpus), default=0)
    if least is not None and least < wanted * (1 - limits.max_less):
        findings.append(
            Finding(
                f"a card here has {least / GIB:.1f} GiB, and the run was cleared for cards of {wanted / GIB:.1f} GiB",
                where=config.where("hardware"),
                observed=in_words(target),
                expected=in_words(cleared_for),
                why="Whether the run fits was judged for a larger card.",
                fix="Train on the card that was described, or set hardware.memory_gib: "
                f"{least / GIB:.1f} and clear the run again.",
            )
        )
    report_findings(findings)


def _why(target: Target) -> str:
    if target.gpus:
        return "With fewer processes the batch is smaller and the steps are more than those that were judged."
    return "Without a card that torch can use the run trains on the CPU."


def _fix(target: Target) -> str:
    hidden = len(target.driver_cards or ()) - len(target.gpus)
    if hidden <= 0:
        return "Train on the machine that was described, or describe this one in hardware and clear the run again."
    what = f"The driver has {counted(hidden, 'card')} that torch can't use"
    if target.cuda is None:
        return f"{what}: this torch is built without CUDA; install one that is built for it."
    return f"{what}: look at CUDA_VISIBLE_DEVICES, and at the driver with nvidia-smi."

from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.data.store import Split
from preflight.fixtures import Evidence
from preflight.model.memory import Prediction, gib
from preflight.model.memory.advice import fitting_change, largest_batch_and_length
from preflight.model.memory.words import breakdown, others, shape

SLACK = {"slack": 1.10}


@check(
    "HW-110",
    "memory-fits",
    severity="required",
    section=2,
    item="VRAM available: sufficient for chosen method",
    thresholds=SLACK,
)
def the_run_fits_into_memory(config: Config, memory: Prediction, train: Split, evidence: Evidence, limits: Any) -> None:
    """The run's longest batch fits into the free memory of the card.

    What it checks: Two training steps of the model's own class, with its adapter, loss and optimizer, are traced on
    the longest batch that the data can make: every tensor has its size and no content, so no weights are loaded. What
    is live at the peak, with a CUDA context, must be less than the free memory of the smallest card.
    Why it matters: A run that doesn't fit ends with an out-of-memory error: at once, or hours later when the longest
    rows meet.
    How to fix: The finding names the cheapest change that fits, traced as well.
    Evidence: `benchmarks/memory.py` compares predictions with published measurements: of allocated memory they were
    0.4 % off on average, 1.3 % at worst. foundation-model-stack/fms-hf-tuning#471 and Lightning-AI/litgpt#159 ran out
    at the longest batch. The tables of gigabytes that go around are folklore: their "full" column has no optimizer
    states in it.
    """
    if memory.capacity is None:
        not_applicable(f"nothing is known of {memory.device}")
    largest = largest_batch_and_length(memory, train.rows, limits.slack)
    evidence(summary(memory, largest, limits.slack), **values(memory, largest, limits.slack))
    if memory.verdict(limits.slack) != "does not fit":
        return
    change = fitting_change(config, memory, limits.slack)
    fix = f"On this one, set {change}." if change else "None of the usual changes is enough: use a smaller model."
    report_findings(
        [
            Finding(
                f"the run needs {gib(memory.least)}, and {memory.device} has {gib(memory.capacity)}",
                where=config.where("training.per_device_train_batch_size"),
                observed=breakdown(memory) + others(memory),
                expected=f"at most {gib(memory.capacity)}",
                why=f"It ends with an out-of-memory error at the latest when the longest rows meet ({shape(memory)}).",
                fix=f"{fix} Or take a card with {gib(memory.likely(limits.slack))} free.",
            )
        ]
    )


@check(
    "HW-111",
    "memory-margin",
    severity="recommended",
    section=2,
    item="VRAM available: sufficient for chosen method",
    thresholds=SLACK,
)
def the_memory_has_a_margin(config: Config, memory: Prediction, evidence: Evidence, limits: Any) -> None:
    """The run fits with what torch's allocator wastes.

    What it checks: The larger of the traced tensors times 1.1, and of what a replay of their allocations through the
    rules of CUDA's caching allocator holds, with a CUDA context, against the free memory of the smallest card.
    Why it matters: The allocator keeps pieces that no tensor fits into. A run with less than that to spare may go well
    for hours, and then not.
    How to fix: Make room by what the finding names, or set `PYTORCH_ALLOC_CONF=expandable_segments:True` and waive
    this.
    Evidence: reserved over allocated memory was 1.02 to 1.25, 1.10 on average, in 11 published measurements.
    """
    if memory.capacity is None or not memory.target.gpus:
        not_applicable("training is on the CPU" if not memory.target.gpus else f"nothing is known of {memory.device}")
    likely, verdict = memory.likely(limits.slack), memory.verdict(limits.slack)
    evidence(f"{gib(likely)} with slack, of {gib(memory.capacity)}", likely=likely, capacity=memory.capacity)
    if verdict == "does not fit":
        not_applicable("it does not fit at all; see HW-110")
    if verdict == "fits":
        return
    change = fitting_change(config, memory, limits.slack)
    report_findings(
        [
            Finding(
                f"the run fits with only {gib(memory.capacity - memory.least)} to spare",
                where=config.where("training.per_device_train_batch_size"),
                observed=f"{gib(memory.least)}, about {gib(likely)} with the allocator's slack",
                expected=f"at most {gib(memory.capacity)}",
                why="The allocator keeps pieces that no tensor fits into; the run may end hours later.",
                fix=(f"Set {change}, or " if change else "Set ") + "PYTORCH_ALLOC_CONF=expandable_segments:True.",
            )
        ]
    )


def summary(memory: Prediction, largest: tuple[int, int] | None, slack: float) -> str:
    """The verdict in a line."""
    about = "about " if memory.problem else ""
    known = f"{memory.verdict(slack)}: {about}{gib(memory.least)} of {gib(memory.capacity or 0)}, {memory.device}"
    return known + (f"; up to {largest[0]} rows, or {largest[1]:,} tokens" if largest and all(largest) else "")


def values(memory: Prediction, largest: tuple[int, int] | None, slack: float) -> dict[str, Any]:
    """The prediction for the reports."""
    return {
        "verdict": memory.verdict(slack),
        "traced": memory.problem is None,
        "not_traced": memory.problem,
        "allocated": memory.allocated,
        "reserved": memory.reserved,
        "context": memory.context,
        "paged": memory.paged,
        "capacity": memory.capacity,
        "parts": dict(memory.parts),
        "batch": memory.job.batch,
        "length": memory.job.length,
        "others": others(memory).removeprefix("; "),
        "largest_batch": largest and largest[0],
        "longest_rows": largest and largest[1],
    }

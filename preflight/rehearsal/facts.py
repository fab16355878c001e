"""What a rehearsal measured, as plain data: written by its process after every phase, read by the gate."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter

from preflight.findings import not_applicable

T = TypeVar("T")
Kind = Literal["typical", "longest"]


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one micro batch.

    Attributes:
        rows: Indices among the rows that the trainer feeds.
        lengths: Tokens of each.
        where: What the user's files call each; empty when rows are packed.
    """

    rows: list[int]
    lengths: list[int]
    where: list[str] = field(default_factory=list)

    @property
    def padded(self) -> int:
        """Tokens of the batch, padding included."""
        return len(self.rows) * max(self.lengths)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a rehearsal did not get to its end.

    Attributes:
        kind: `memory`: a device or the host had too little; `killed`: a signal ended it; `error`: a library refused or
            crashed; `timeout`: it took too long.
        message: The library's words, or the name of the signal.
    """

    kind: Literal["memory", "killed", "error", "timeout"]
    message: str


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step.

    Attributes:
        batch: Which of the two batches it was on.
        seconds: From the first forward pass to the end of the optimizer's step.
        loss: The trainer's loss.
        skipped: Whether the loss scaler of fp16 skipped it, because gradients overflowed.
    """

    batch: Kind
    seconds: float
    loss: float
    skipped: bool


@dataclass(frozen=True, slots=True)
class Parameters:
    """What became of the model's parameters, by name.

    Attributes:
        trained: Tensors that require a gradient.
        frozen: Tensors that don't.
        unmoved: Trained ones that are what they were before the first step.
        moved: Frozen ones that are not.
        silent: Trained ones that never had a gradient, or only zeros.
        not_finite: Trained ones that hold NaN or infinite values after the last step, or had such a gradient in a step
            that was not skipped.
    """

    trained: int
    frozen: int
    unmoved: list[str]
    moved: list[str]
    silent: list[str]
    not_finite: list[str]


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak memory of the training steps, in bytes.

    Attributes:
        resident: Of the process, on the host.
        allocated: By torch on the card; None without one.
        reserved: By torch's allocator on the card.
        total: Of the card, or of the host without one.
    """

    resident: int
    allocated: int | None
    reserved: int | None
    total: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was saved, loaded again as it will be after the run.

    Attributes:
        size: Its bytes.
        optimizer: Whether it holds the optimizer's state, and that loads.
        unequal: Trained tensors of the adapter that are others, or none, once it is loaded.
        difference: Mean difference between the log-probabilities of the trained model and of the one that was loaded.
        effect: The same between the trained model and its base: what would be lost if nothing was loaded.
    """

    size: int
    optimizer: bool
    unequal: list[str]
    difference: float
    effect: float


@dataclass(frozen=True)
class Rehearsal:
    """The facts of one rehearsal. What it did not get to is None.

    Attributes:
        key: What it depends on, as a digest.
        device: What it ran on.
        half: Whether weights or activations were in 16 bits.
        typical: The batch of rows of median length.
        longest: The batch of the longest rows.
        phase: What it was doing last.
        failure: Why it ended there; None if it came to its end.
        accumulation: Micro batches of each of its steps.
        base: The base model's mean loss a supervised token, on the typical batch.
        fresh: The same as the trainer has built the model, before the first step.
        trained: The same after the last.
        padding: Mean difference of log-probabilities of a row alone and beside a longer one; None if nothing is padded.
        summed: Relative difference of the gradients of two rows at once and of one after the other, accumulated; None
            if the run doesn't accumulate.
        steps: The optimizer steps.
        parameters: What moved and what did not.
        memory: Peak memory.
        evaluation: Loss of one evaluation batch of the longest held-out rows; None if the run doesn't evaluate.
        checkpoint: What was saved and loaded.
        seconds: What all of it took.
    """

    key: str
    device: str
    half: bool
    typical: Batch
    longest: Batch
    phase: str
    failure: Failure | None = None
    accumulation: int = 1
    base: float | None = None
    fresh: float | None = None
    trained: float | None = None
    padding: float | None = None
    summed: float | None = None
    steps: list[Step] = field(default_factory=list)
    parameters: Parameters | None = None
    memory: Memory | None = None
    evaluation: float | None = None
    checkpoint: Checkpoint | None = None
    seconds: float = 0.0

    def reached(self, fact: T | None) -> T:
        """A fact of this rehearsal.

        Raises:
            NotApplicable: it ended before that, or couldn't measure it.
        """
        if fact is None and self.phase == "done":
            not_applicable("it could not be measured; rehearsal.log beside the report says why")
        if fact is None:
            not_applicable(f"the rehearsal ended before that, while {self.phase}; see RUN-200")
        return fact


def read(path: Path) -> Rehearsal | None:
    """What was written there; None if nothing was, or by another version."""
    try:
        return _shape().validate_python(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):  # pydantic's ValidationError is one
        return None


@cache
def _shape() -> TypeAdapter[Rehearsal]:
    return TypeAdapter(Rehearsal)


def write(facts: Mapping[str, Any], path: Path) -> None:
    """Write facts, so that whoever reads finds the old or the new ones and never half of them."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    temporary.replace(path)

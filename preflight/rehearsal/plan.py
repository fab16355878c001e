"""Whether to rehearse, on which rows, and what that will take."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from preflight import machine
from preflight.config import Config
from preflight.data.store import Prepared, Split
from preflight.findings import not_applicable
from preflight.model import files
from preflight.model.modules import ModuleTree
from preflight.model.precision import Precision
from preflight.rehearsal.facts import Batch
from preflight.strategy import Strategy
from preflight.target import GIB, Target

UNASKED = 90.0  # seconds that a rehearsal may take where the config doesn't ask for one
START = 15.0  # seconds to start Python, import the libraries and build the trainer
READ = 1e9  # bytes of weights a second; they are loaded twice
# Floating-point operations a second that half of what is sold today reaches in such steps.
CARD = 3e13
CORE = 4e10
WITHOUT_BF16 = 5  # how much slower a processor is that must emulate bfloat16
WIDTH = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a rehearsal.

    Attributes:
        typical: A micro batch of rows of median length, with something to learn in each.
        longest: The micro batch of the longest rows.
        short: The shortest row with something to learn; None if all have the same length.
        held_out: The longest evaluation batch; empty if the run doesn't evaluate.
    """

    typical: Batch
    longest: Batch
    short: int | None
    held_out: Sequence[int]


def check_possible(config: Config, target: Target, strategy: Strategy) -> None:
    """Leave the rehearsal where the config doesn't ask for it or one process can't do it.

    Raises:
        NotApplicable: with the reason.
    """
    if strategy.kind in ("fsdp", "zero1", "zero2", "zero3"):
        not_applicable(f"a rehearsal is one process, and this run shards the model over several ({strategy.kind})")
    if not config.gate.rehearsal and not target.local:
        not_applicable("hardware describes another machine; gate.rehearsal: true rehearses on this one")


def rows_of(config: Config, prepared: Prepared) -> Rows:
    """The rows to rehearse on."""
    lengths = _lengths(prepared.train.fed)
    size = config.training_value("per_device_train_batch_size")
    packed = prepared.train.fed.name != "data.arrow"
    names = None if packed else prepared.train.profile["where"].to_numpy()
    order = np.argsort(lengths, kind="stable")
    useful = order if packed else order[(prepared.train.profile["supervised"].to_numpy() > 0)[order]]
    useful = useful if len(useful) else order
    middle = max((len(useful) - size) // 2, 0)
    short = int(useful[0]) if lengths[useful[0]] < lengths[useful[middle]] else None

    def batch(found: Any) -> Batch:
        found = np.resize(found, size)
        return Batch(found.tolist(), lengths[found].tolist(), [] if names is None else names[found].tolist())

    typical = batch(useful[middle : middle + size])
    return Rows(typical, batch(order[::-1][:size]), short, _held_out(config, prepared.validation))


def _held_out(config: Config, split: Split | None) -> list[int]:
    if split is None or not split.rows or config.training_value("eval_strategy") == "no":
        return []
    longest = np.argsort(-_lengths(split.fed), kind="stable")
    return list(longest[: config.training_value("per_device_eval_batch_size")].tolist())


def _lengths(path: Path) -> Any:
    """Tokens of each row that is fed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with pa.memory_map(str(path)) as source:
        column = pa.ipc.open_stream(source).read_all()["input_ids"]
        return pc.list_value_length(column).to_numpy().astype(np.int64)


def padded(config: Config) -> bool:
    """Whether the rows of a micro batch are padded to the longest: not where they are laid end to end."""
    packing = config.training_value("packing") and config.training_value("packing_strategy") != "wrapped"
    return not (packing or config.training_value("padding_free"))


def check_worth(config: Config, rows: Rows, tree: ModuleTree, precision: Precision, target: Target) -> None:
    """Leave the rehearsal where nobody asked for it and it would not fit, or take too long.

    Raises:
        NotApplicable: with what it would take.
    """
    weights = files.weight_files(config)
    if not weights:
        not_applicable("the model's weights aren't here")
    bits = 4 if config.quantization_value("load_in_4bit") else 8 if config.quantization_value("load_in_8bit") else None
    needed = tree.parameters * (bits / 8 * 1.2 if bits else WIDTH.get(precision.weights, 4)) + 2 * GIB
    needed += 12 * tree.trainable  # gradients and two moments in float32
    free = sum(card.free or 0 for card in _used(config, target)) if target.gpus else machine.memory().free
    if needed > free:
        where = "on the card" if target.gpus else "in memory"
        not_applicable(f"the model takes {needed / GIB:.0f} GiB, and {free / GIB:.0f} are free {where} now")
    seconds = estimate(config, rows, tree.parameters, precision, on_card=bool(target.gpus))
    seconds += 2 * sum(path.stat().st_size for path in weights) / READ
    if seconds > UNASKED:
        not_applicable(
            f"a rehearsal would take about {seconds / 60:.0f} minutes here; set gate.rehearsal: true to have it"
        )


def estimate(config: Config, rows: Rows, parameters: int, precision: Precision, *, on_card: bool) -> float:
    """Seconds that a rehearsal will take, but for loading the model: a rough guess, on the safe side."""
    typical, longest = rows.typical.padded, rows.longest.padded
    micro = min(config.training_value("gradient_accumulation_steps"), 2)
    passes = 4 if config.training_value("gradient_checkpointing") else 3  # backward takes two, recomputing one more
    steps = (3 * typical + longest) * micro * passes
    looks = 6 * typical + longest * len(rows.held_out) / len(rows.longest.rows)
    speed = CARD if on_card else CORE * machine.cores()
    if not on_card and "bfloat16" in (precision.weights, precision.amp) and not _has_bf16():
        speed /= WITHOUT_BF16
    return float(START + (steps + looks) * 2 * parameters / speed)


def _used(config: Config, target: Target) -> Sequence[Any]:
    """The cards that the run's one process uses."""
    return target.gpus if config.model.device_map else target.gpus[:1]


def _has_bf16() -> bool:
    """Whether the processor computes in bfloat16 by itself."""
    try:
        return "_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False

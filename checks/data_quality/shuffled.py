import math
from typing import Any, NamedTuple

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.store import Split
from preflight.fixtures import Evidence

BINS = 4  # of length
# What rows may be sorted by, and what it is called.
COLUMNS = {"task": "task type", "shape": "shape", "roles": "roles", "head": "system prompt", "length": "length"}


class Order(NamedTuple):
    """How rows stand in order by some column.

    Attributes:
        runs: Stretches of equal neighbours.
        usual: How many of them a random order has.
        z: How far `runs` is from that, in standard deviations.
    """

    runs: int
    usual: float
    z: float


@check(
    "DATA-114",
    "shuffled",
    severity="recommended",
    section=1,
    item="Shuffled: data is randomly shuffled",
    thresholds={"max_share_of_runs": 0.5, "min_z": 6.0},
)
def rows_are_not_fed_in_sorted_order(config: Config, train: Split, evidence: Evidence, limits: Any) -> None:
    """Rows are not fed in sorted order.

    What it checks: Whether the training files are sorted by task type, shape, roles, system prompt or length, as are
    several sources put one behind the other: a runs test (Wald and Wolfowitz) for each of these. It is a finding only
    where the order reaches the model: with `training.train_sampling_strategy: sequential`, and with packing, which
    puts neighbours into one row. Otherwise the trainer draws rows at random, and `data.validation_split` does so too.
    Why it matters: Batches of one kind pull the model back and forth, and what comes first is forgotten.
    How to fix: Shuffle the file, or set what the finding names.
    Evidence: TRL shuffles before packing "to avoid correlations between sequences packed together", but only with
    `shuffle_dataset`, which is off by default. Thresholds: less than half the runs of a random order, at six standard
    deviations.
    """
    orders = {name: order_of(_kinds(train.profile, column)) for column, name in COLUMNS.items()}
    found = {
        name: order
        for name, order in orders.items()
        if order.runs < limits.max_share_of_runs * order.usual and -order.z >= limits.min_z
    }
    way = _way(config)
    names = " and ".join(", ".join(found).rsplit(", ", 1))
    drawn = ", but drawn at random" if found and way is None else ""
    told = f"sorted by {names}{drawn}" if found else "not sorted"
    evidence(told, orders={name: order._asdict() for name, order in orders.items()})
    if not found or way is None:
        return
    name, order = min(found.items(), key=lambda item: item[1].runs / item[1].usual)
    why, key, fix = way
    report_findings(
        [
            Finding(
                f"the training rows are sorted by {names}",
                where=config.where(key),
                observed=f"{order.runs:,} stretches of equal {name}",
                expected=f"about {order.usual:,.0f}, as in a random order",
                why=why,
                fix=fix,
            )
        ]
    )


def order_of(values: Any) -> Order:
    """The runs test for any number of kinds: how many runs there are, and how many a random order would have."""
    import numpy as np

    kinds, sizes = np.unique(values, return_counts=True)
    n = len(values)
    if len(kinds) < 2:
        return Order(1, 1.0, 0.0)
    runs = int((values[1:] != values[:-1]).sum()) + 1
    shares = sizes / n  # sums of cubes would overflow
    squares, cubes = float((shares**2).sum()), float((shares**3).sum())
    usual = n * (1 - squares) + 1
    variance = n**2 / (n - 1) * (squares * (squares + (n + 1) / n) - 2 * cubes - 1 / n) if n > 1 else 0.0
    return Order(runs, usual, (runs - usual) / math.sqrt(variance) if variance > 0 else 0.0)


def _kinds(profile: Any, column: str) -> Any:
    """The column as numbers of kinds."""
    values = profile[column]
    if column == "length":
        values = values.rank(pct=True).mul(BINS).apply(math.ceil)
    return values.factorize(use_na_sentinel=False)[0]


def _way(config: Config) -> tuple[str, str, str] | None:
    """How the order of rows reaches the model, the key that lets it, and what to do; None if it doesn't."""
    if config.training_value("train_sampling_strategy") == "sequential":
        key = "training.train_sampling_strategy"
        return "Batches are of one kind, and what comes first is forgotten.", key, f"Set {key}: random."
    if config.training_value("packing") and not config.training_value("shuffle_dataset"):
        why = "Packing puts neighbours into one row, so batches are of one kind."
        return why, "training.packing", "Set training.shuffle_dataset: true."
    return None

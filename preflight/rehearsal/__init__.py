"""The rehearsal: the run's own model and trainer take a few real steps before the run does.

`plan` decides whether and on which rows; `supervise` starts a process and reads what it left; `play` is what happens
there, with `score`, `watch` and `reload`; `facts` is what checks read.
"""

from typing import IO

from preflight.config import Config
from preflight.data.store import Prepared
from preflight.model.modules import ModuleTree
from preflight.model.precision import Precision
from preflight.rehearsal import plan, supervise
from preflight.rehearsal.facts import Rehearsal
from preflight.rehearsal.plan import check_possible
from preflight.target import Target

__all__ = ["Rehearsal", "check_possible", "rehearsal_of"]


def rehearsal_of(
    config: Config,
    prepared: Prepared,
    tree: ModuleTree,
    precision: Precision,
    target: Target,
    *,
    screen: IO[str] | None = None,
) -> Rehearsal:
    """The facts of this run's rehearsal.

    Args:
        config: The run's config.
        prepared: Its prepared data.
        tree: Its module tree.
        precision: Its types.
        target: The machine that will train.
        screen: Where to show what it is doing.

    Raises:
        NotApplicable: the config doesn't ask for one, and it would not fit or take too long.
    """
    rows = plan.rows_of(config, prepared)
    if not config.gate.rehearsal:
        plan.check_worth(config, rows, tree, precision, target)
    return supervise.rehearse(config, prepared, rows, target, screen=screen)

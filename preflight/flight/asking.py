"""Asking the monitors of a run: the checks that judge its log and need nothing else."""

from collections.abc import Mapping

from preflight import registry, verdict
from preflight.config import Config
from preflight.fixtures import limits_of
from preflight.flight.log import Log
from preflight.flight.plan import Plan
from preflight.judging import ask
from preflight.registry import Check
from preflight.verdict import Result
from preflight.waivers import Waivers


def monitors_of(config: Config) -> dict[str, Check]:
    """The monitors of a run by code, the user's own included.

    Raises:
        RegistryError: the user's own can't be loaded.
    """
    checks = registry.load(map(config.resolve, config.gate.checks))
    return {code: check for code, check in checks.items() if check.is_monitor}


def ask_all(config: Config, monitors: Mapping[str, Check], log: Log, plan: Plan) -> dict[str, Result]:
    """What each of them says of a run so far.

    Args:
        config: The run's config, for severities, waivers and thresholds.
        monitors: The monitors.
        log: The run log.
        plan: What was known before.
    """
    waivers = Waivers.of(config, monitors)
    return {
        code: ask(
            check,
            verdict.in_force(code, check.severity, config.gate.severity, strict=False),
            waivers.get(code),
            limits_of(check, config),
            run_log=log,
            plan=plan,
        )
        for code, check in monitors.items()
    }

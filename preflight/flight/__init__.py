"""The run log and its judges: pure functions, for the monitors while a run goes on and the checks afterwards.

`log` reads it, `plan` says what is known before the first step, and every other module holds judges of one kind.
"""

from preflight.flight.log import Curve, Log, read_log

__all__ = ["Curve", "Log", "read_log"]

"""The other side of `sandbox.py`: runs a program and then its tests under limits. Started as a script, never imported.

It knows only the standard library, and is told by its arguments: the folder that has `solution.py` and `tests.py`, the
function to be tested or an empty text, the number of the open file to report to, and the limits as `NAME=NUMBER`. It
reports one JSON object; that nothing is reported means that the program ended the process, and is no pass.
"""

import importlib
import json
import os
import resource
import runpy
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST = 300  # characters of an error


def main(folder: str, entry: str, report: str, *limits: str) -> None:
    """Run, report, and end the process whatever threads there are."""
    tests = str(Path(folder, "tests.py"))
    sys.path.insert(0, folder)
    for name, _, value in (limit.partition("=") for limit in limits):
        _limit(getattr(resource, f"RLIMIT_{name}"), int(value))
    ran = ""  # which of the two, for the report
    try:
        ran = "the program"
        program = importlib.import_module("solution")  # so that nothing below `if __name__ == "__main__"` runs
        ran = "the tests"
        found = runpy.run_path(tests, vars(program).copy(), "tests")
        _call(found, entry)
        said = {"passed": True, "error": ""}
    except BaseException as error:  # SystemExit too: a program that exits has not passed its tests
        said = {"passed": False, "error": f"{ran}: {_short(error, folder)}"}
    os.write(int(report), json.dumps(said).encode())
    os._exit(0)


def _limit(what: int, value: int) -> None:
    most = resource.getrlimit(what)[1]
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(what, (value, value))


def _call(found: Mapping[str, Any], entry: str) -> None:
    """Call what the tests only define: HumanEval's `check`, pytest's functions, unittest's classes."""
    own = {name: value for name, value in found.items() if getattr(value, "__module__", None) == "tests"}
    if entry and callable(own.get("check")):
        own["check"](found[entry])
    for name, value in own.items():
        if name.startswith("test") and callable(value) and not isinstance(value, type):
            value()
    cases = [value for value in own.values() if isinstance(value, type) and hasattr(value, "assertEqual")]
    if cases:
        import unittest

        load = unittest.TestLoader().loadTestsFromTestCase
        result = unittest.TextTestRunner(stream=sys.stderr).run(unittest.TestSuite(map(load, cases)))
        if not result.wasSuccessful():
            what = [*result.errors, *result.failures][:1]
            raise AssertionError(what[0][1].strip().rpartition("\n")[2] if what else "an unexpected success")


def _short(error: BaseException, folder: str) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(folder)]
    line = getattr(error, "lineno", None) or (frames[-1].lineno if frames else None)
    place = f", {Path(frames[-1].filename).name} line {line}" if frames else f", line {line}" if line else ""
    return f"{type(error).__name__}: {error}"[:MOST].rstrip(": ") + place


if __name__ == "__main__":
    main(*sys.argv[1:])

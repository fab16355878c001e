"""What this computer has, without importing a library for its version."""

import subprocess
import sys
from importlib import metadata

import pytest

from preflight import machine


def test_versions_are_those_installed():
    found = machine.versions()

    assert found["trl"] == metadata.version("trl")
    assert found[machine.OWN] == metadata.version(machine.OWN)
    assert set(found) <= {*machine.BOUND, machine.OWN}


def test_a_package_that_is_missing_is_left_out(monkeypatch):
    monkeypatch.setattr(machine, "BOUND", ("trl", "no-such-package"))

    assert set(machine.versions()) == {"trl", machine.OWN}


@pytest.mark.parametrize("part", [".", "not/made/yet"])
def test_free_bytes_of_a_folder_that_need_not_exist(tmp_path, part):
    assert machine.free_bytes(tmp_path / part) == machine.free_bytes(tmp_path) > 0


def test_cores():
    assert machine.cores() >= 1


def test_environment_holds_versions_and_platform():
    assert {"python", "platform", "torch"} <= set(machine.environment())


def test_nothing_heavy_is_imported():
    code = "import sys; from preflight import machine; machine.environment(); print('torch' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"

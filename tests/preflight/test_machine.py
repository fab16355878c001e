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


@pytest.fixture
def groups(monkeypatch, tmp_path):
    """`groups("0::/job", {"job/memory.max": "1"})`: this process in these control groups."""

    def make(own, files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setattr(machine, "OWN_GROUPS", tmp_path / "own")
        monkeypatch.setattr(machine, "GROUPS", tmp_path / "groups")

    return make


MIB = 2**20
V1 = "7:cpu,cpuacct:/job\n4:memory:/job\n1:name=systemd:/\n"


@pytest.mark.parametrize(
    "own, files, total, free",
    [
        pytest.param("0::/job", {"job/memory.max": f"{64 * MIB}"}, 64, 64, id="v2"),
        pytest.param(
            "0::/job",
            {"job/memory.max": f"{64 * MIB}\n", "job/memory.current": f"{40 * MIB}\n"},
            64,
            24,
            id="v2 in use",
        ),
        pytest.param(
            "0::/job",
            {
                "job/memory.max": f"{64 * MIB}",
                "job/memory.current": f"{60 * MIB}",
                "job/memory.stat": f"anon 1\ninactive_file {30 * MIB}\n",
            },
            64,
            34,
            id="cached files are free",
        ),
        pytest.param(
            "0::/a/b", {"a/memory.max": f"{64 * MIB}", "a/b/memory.max": "max"}, 64, 64, id="the parent's limit counts"
        ),
        pytest.param("0::/host/only", {"memory.max": f"{64 * MIB}"}, 64, 64, id="own path out of sight"),
        pytest.param(V1, {"memory/job/memory.limit_in_bytes": f"{64 * MIB}"}, 64, 64, id="v1"),
    ],
)
def test_memory_is_capped_by_control_groups(groups, own, files, total, free):
    groups(own, files)

    assert machine.memory() == machine.Memory(total * MIB, free * MIB)


@pytest.mark.parametrize(
    "own, files",
    [
        pytest.param("0::/job", {"job/memory.max": "max"}, id="v2"),
        pytest.param(V1, {"memory/job/memory.limit_in_bytes": "9223372036854771712"}, id="v1"),
        pytest.param("", {}, id="none"),
    ],
)
def test_memory_without_a_limit_is_the_machines(groups, own, files):
    import psutil

    groups(own, files)

    assert machine.memory().total == psutil.virtual_memory().total


@pytest.mark.parametrize(
    "own, files",
    [
        ("0::/job", {"job/cpu.max": "50000 100000"}),
        (V1, {"cpu,cpuacct/job/cpu.cfs_quota_us": "50000", "cpu,cpuacct/job/cpu.cfs_period_us": "100000"}),
    ],
    ids=["v2", "v1"],
)
def test_cores_are_capped_by_the_quota_and_at_least_one(groups, own, files):
    groups(own, files)

    assert machine.cores() == 1


@pytest.mark.parametrize(
    "own, files",
    [
        ("0::/job", {"job/cpu.max": "max 100000"}),
        (V1, {"cpu,cpuacct/job/cpu.cfs_quota_us": "-1", "cpu,cpuacct/job/cpu.cfs_period_us": "100000"}),
    ],
    ids=["v2", "v1"],
)
def test_cores_without_a_quota_are_those_of_the_affinity(groups, own, files):
    import os

    groups(own, files)

    assert machine.cores() == len(os.sched_getaffinity(0))


def test_the_host_is_read_for_an_output_that_is_not_made_yet(tmp_path):
    found = machine.host(tmp_path / "not" / "made")

    assert found.file_system == machine.file_system(tmp_path)
    assert found.file_system
    assert found.open_files > 0
    assert found.locked_memory >= 0
    assert 0 < found.ram_free <= machine.memory().total


def test_the_innermost_mount_names_the_file_system(monkeypatch, tmp_path):
    from types import SimpleNamespace

    import psutil

    mounts = [("/", "ext4"), (str(tmp_path), "tmpfs"), (str(tmp_path), "nfs4"), ("/other", "xfs")]
    found = [SimpleNamespace(mountpoint=place, fstype=kind) for place, kind in mounts]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: found)

    assert machine.file_system(tmp_path / "run") == "nfs4"
    assert machine.file_system(tmp_path.parent) == "ext4"


def test_environment_holds_versions_and_platform():
    assert {"python", "platform", "torch"} <= set(machine.environment())


def test_nothing_heavy_is_imported():
    code = "import sys; from preflight import machine; machine.environment(); print('torch' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"

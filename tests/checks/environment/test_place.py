"""ENV-109 output-writable, ENV-110 output-lasting, ENV-111 clock."""

import os
import time

import pytest


def test_a_folder_that_can_be_written_to(expect):
    expect("ENV-109", "passed")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_blocks(project, expect, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    project.set(training={"output_dir": str(folder / "run")})

    expect("ENV-109", "failed")


def test_a_folder_on_a_full_or_read_only_disk_blocks(project, expect, monkeypatch):
    from preflight.checks.environment import place

    def refused(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(place.tempfile, "NamedTemporaryFile", refused)
    (finding,) = expect("ENV-109", "failed")

    assert "Read-only file system" in finding["message"]


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [*((kind, "passed") for kind in ("ext4", "xfs", "nfs4", None)), ("tmpfs", "warned"), ("overlay", "warned")],
)
def test_the_output_outlives_the_run(expect, on_machine, kind, outcome):
    on_machine(file_system=kind)

    expect("ENV-110", outcome)


@pytest.mark.parametrize(("days", "outcome"), [(0, "passed"), (-400, "warned"), (0.5, "passed"), (400, "passed")])
def test_the_clock_is_not_behind(expect, on_machine, days, outcome):
    on_machine(clock=time.time() + days * 86_400)

    expect("ENV-111", outcome)


def test_of_another_machine_nothing_is_said(project):
    project.set(hardware={"gpu": "A100", "memory_gib": 80})
    run = project.gate("-k", "ENV-109 or ENV-110 or ENV-111")

    assert {run.outcome(code) for code in ("ENV-109", "ENV-110", "ENV-111")} == {"not-applicable"}

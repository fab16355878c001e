"""HW-121 host-memory. The tiny model has 1.6 million parameters, saved in float32."""

from dataclasses import replace

import pytest

from preflight import target as targets
from preflight.target import Target

MIB, GIB = 2**20, 2**30
HERE = Target(local=True, ram=64 * GIB)
HALF = {"model": {"dtype": "bfloat16"}}
MERGES = {"deployment": {"merge": True}}


@pytest.mark.parametrize(
    ("ram", "sections", "outcome", "fix"),
    [
        (64 * GIB, HALF | MERGES, "passed", ""),
        (2 * MIB, {}, "passed", ""),  # mapped from its file
        (2 * MIB, HALF, "warned", "Set model.dtype: float32, or take a host"),
        (4 * MIB, HALF, "passed", ""),
        (4 * MIB, MERGES, "warned", "set deployment.merge: false"),
        (8 * MIB, MERGES, "passed", ""),
    ],
)
def test_the_model_passes_through_the_hosts_memory(project, expect, monkeypatch, ram, sections, outcome, fix):
    monkeypatch.setattr(targets, "target_of", lambda config: replace(HERE, ram=ram))
    project.set(**sections)

    assert all(fix in finding["fix"] for finding in expect("HW-121", outcome))


def test_the_memory_of_a_described_host_is_not_known(project, expect):
    project.set(hardware={"gpu": "A100", "memory_gib": 80})

    expect("HW-121", "not-applicable")

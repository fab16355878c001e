"""HW-121 host-memory."""

from dataclasses import replace

import pytest

from preflight import target as targets
from preflight.target import Target

GIB = 2**30
HERE = Target(local=True, ram=64 * GIB)
MERGES = {"deployment": {"merge": True}}


@pytest.mark.parametrize(
    ("ram", "sections", "outcome"),
    [
        (64 * GIB, {}, "passed"),
        (4 * 2**20, {}, "warned"),  # the tiny model has 1.6 million parameters, in float32
        (4 * 2**20, {"model": {"dtype": "bfloat16"}}, "passed"),
        (2 * 2**20, {"model": {"dtype": "bfloat16"}}, "warned"),
        (4 * 2**20, MERGES | {"model": {"dtype": "bfloat16"}}, "passed"),
    ],
)
def test_the_model_passes_through_the_hosts_memory(project, expect, monkeypatch, ram, sections, outcome):
    monkeypatch.setattr(targets, "target_of", lambda config: replace(HERE, ram=ram))
    project.set(**sections)

    expect("HW-121", outcome)


def test_the_memory_of_a_described_host_is_not_known(project, expect):
    project.set(hardware={"gpu": "A100", "memory_gib": 80})

    expect("HW-121", "not-applicable")

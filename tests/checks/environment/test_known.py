"""ENV-114 known-versions: a version that goes wrong, for the runs that it concerns."""

import pytest

from preflight.checks.environment import known

TWO = {"gpu": "A100", "memory_gib": 80, "count": 2}


@pytest.mark.parametrize(
    ("version", "training", "lora", "outcome"),
    [
        ("1.14.0", {"fsdp": True}, {}, "failed"),
        ("1.15.0", {"fsdp": True}, {}, "passed"),
        ("1.14.0", {"fsdp": True, "fsdp_config": {"version": 1}}, {}, "passed"),
        ("1.14.0", {"fsdp": True, "fsdp_config": {"fsdp_version": 1}}, {}, "passed"),
        ("1.14.0", {"fsdp": True}, None, "passed"),  # full fine-tuning saves otherwise
        ("1.14.0", {}, {}, "passed"),
    ],
)
def test_accelerate_before_1_15_loses_adapters_under_fsdp2(
    project, expect, monkeypatch, version, training, lora, outcome
):
    monkeypatch.setattr(known, "versions", lambda: {"accelerate": version})
    project.set(hardware=TWO, training=training)
    project.set(lora=lora)

    expect("ENV-114", outcome)


def test_a_package_that_is_not_installed_is_not_judged(project, expect, monkeypatch):
    monkeypatch.setattr(known, "versions", dict)
    project.set(hardware=TWO, training={"fsdp": True})

    expect("ENV-114", "passed")

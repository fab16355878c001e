"""HW-131 device-map, HW-132 cards-at-work."""

import pytest

ONE, TWO = {"gpu": "A100", "memory_gib": 80}, {"gpu": "A100", "memory_gib": 80, "count": 2}
CPU = {"target": "local"}
ZERO3 = {"zero_optimization": {"stage": 3}}


@pytest.mark.parametrize(
    ("hardware", "device_map", "training", "outcome"),
    [
        (TWO, "auto", {"fsdp": True}, "failed"),
        (ONE, "auto", {"deepspeed": ZERO3}, "failed"),
        (TWO, {"": 0}, {}, "failed"),  # all processes on one card
        (TWO, "auto", {}, "passed"),  # one process: HW-132 speaks
        (ONE, "auto", {}, "passed"),
        (ONE, {"": 0}, {}, "passed"),
        (TWO, None, {}, "not-applicable"),
    ],
)
def test_a_device_map_is_for_one_process(project, expect, hardware, device_map, training, outcome):
    project.set(hardware=hardware, model={"device_map": device_map, "dtype": "bfloat16"}, training=training)

    findings = expect("HW-131", outcome)

    assert all("Remove model.device_map" in finding["fix"] for finding in findings)


@pytest.mark.parametrize(
    ("hardware", "device_map", "outcome"),
    [(TWO, "auto", "warned"), (TWO, None, "passed"), (ONE, "auto", "not-applicable"), (CPU, None, "not-applicable")],
)
def test_cards_work_together(project, expect, hardware, device_map, outcome):
    project.set(hardware=hardware, model={"device_map": device_map})

    expect("HW-132", outcome)

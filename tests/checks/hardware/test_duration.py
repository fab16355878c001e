"""HW-122 duration: shown always, judged against gate.max_hours."""

import pytest

from preflight.checks.hardware.duration import spell

T4, UNKNOWN, CPU = {"gpu": "T4", "memory_gib": 16}, {"gpu": "Some card", "memory_gib": 16}, {"target": "local"}


@pytest.mark.parametrize(
    ("hardware", "gate", "outcome"),
    [
        (T4, {}, "passed"),
        (T4, {"max_hours": 1.0}, "passed"),
        (T4, {"max_hours": 1e-7}, "warned"),
        (UNKNOWN, {}, "passed"),
        (UNKNOWN, {"max_hours": 1.0}, "not-applicable"),
        (CPU, {"max_hours": 1e-7}, "passed"),  # how fast this CPU is a rehearsal tells
    ],
)
def test_a_run_that_outlasts_its_hours_warns(project, expect, hardware, gate, outcome):
    project.set(hardware=hardware, gate=gate)

    findings = expect("HW-122", outcome)

    assert all("training.max_steps: " in finding["fix"] for finding in findings)


def test_steps_tokens_and_hours_are_shown(project):
    project.set(hardware=T4)
    evidence = project.gate("-k", "HW-122").check("HW-122")["evidence"]

    assert evidence["steps"] == 150
    assert evidence["tokens"] > 600 * 10
    assert 0 < evidence["hours"][0] < evidence["hours"][1]


@pytest.mark.parametrize(
    ("hours", "words"), [(12.34, "12.3 h"), (1.0, "1.0 h"), (0.5, "30 min"), (1 / 60, "60 s"), (0.0001, "0 s")]
)
def test_times_are_spelled_in_units_that_suit_them(hours, words):
    assert spell(hours) == words

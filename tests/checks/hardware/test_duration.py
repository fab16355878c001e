"""HW-122 duration and HW-123 measured-duration: shown, and judged against gate.max_hours."""

import contextlib
from dataclasses import replace

import pytest

from preflight.checks.hardware import duration
from preflight.findings import Found, NotApplicable
from preflight.rehearsal.facts import Batch, Rehearsal, Step

T4, UNKNOWN, CPU = {"gpu": "T4", "memory_gib": 16}, {"gpu": "Some card", "memory_gib": 16}, {"target": "local"}


@pytest.mark.parametrize(
    ("hardware", "gate", "outcome"),
    [
        (T4, {}, "passed"),
        (T4, {"max_hours": 1.0}, "passed"),
        (T4, {"max_hours": 1e-7}, "warned"),
        (UNKNOWN, {}, "passed"),
        (UNKNOWN, {"max_hours": 1.0}, "not-applicable"),
        (CPU, {"max_hours": 1e-7}, "not-applicable"),  # a rehearsal tells
        (CPU, {}, "passed"),
    ],
)
def test_a_run_that_outlasts_its_hours_warns(project, expect, hardware, gate, outcome):
    project.set(hardware=hardware, gate=gate)

    assert all("training.max_steps: " in finding["fix"] for finding in expect("HW-122", outcome))


@pytest.mark.parametrize(
    ("training", "tokens"),
    [
        ({}, (1.0, 1.1)),  # rows of much the same length, padded
        ({"per_device_train_batch_size": 1}, (1.0, 1.0)),
        ({"num_train_epochs": 3}, (3.0, 3.3)),
        ({"max_steps": 300}, (2.0, 2.2)),
        ({"packing": True, "max_length": 64}, (1.0, 1.2)),  # the last step of an epoch isn't full
    ],
)
def test_tokens_are_those_of_the_rows_with_their_padding(project, training, tokens):
    project.set(hardware=T4, training=training)
    run = project.gate("-k", "HW-122 or DATA-105")
    seen, found = run.check("HW-122")["evidence"], run.check("HW-122")["evidence"]["tokens"]
    everything = 600 * mean_length(project)

    assert tokens[0] <= found / everything <= tokens[1] + 0.001
    assert 0 < seen["hours"][0] < seen["hours"][1]


def mean_length(project) -> float:
    import pyarrow.parquet as pq

    (profile,) = (project.folder / "run" / "preflight" / "prepared").glob("*/train/profile.parquet")
    return float(pq.read_table(profile)["kept"].to_numpy().mean())


MEASURED = Rehearsal(
    key="key",
    device="cpu",
    half=False,
    typical=Batch([0, 1, 2, 3], [40, 40, 40, 40]),
    longest=Batch([4, 5, 6, 7], [80, 80, 80, 80]),
    phase="done",
    steps=[Step("typical", 20.0, 3.0, False), Step("typical", 16.0, 3.0, False), Step("longest", 40.0, 3.0, False)],
)  # a tenth or an eighth of a second a token: 600 rows of about 40 tokens take 40 to 50 minutes


@pytest.mark.parametrize(
    ("gate", "changes", "outcome"),
    [
        ({"max_hours": 0.2}, {}, "warned"),
        ({"max_hours": 2.0}, {}, "passed"),
        ({}, {}, "not-applicable"),
        ({"max_hours": 0.2}, {"steps": [], "phase": "loading"}, "not-applicable"),
    ],
)
def test_what_a_rehearsal_measured_is_judged(project, gate, changes, outcome):
    from preflight.config import load_config
    from preflight.data.prepare import prepare
    from preflight.model.tokenizer import load_tokenizer

    config = load_config(project.set(gate=gate).write())
    train, said = prepare(config, load_tokenizer(config)).train, []
    facts = replace(MEASURED, **changes)

    raised = {"warned": pytest.raises(Found), "not-applicable": pytest.raises(NotApplicable)}
    with raised.get(outcome, contextlib.nullcontext()) as found:
        duration.the_run_as_measured_is_as_long_as_it_may_be(config, train, facts, lambda text, **_: said.append(text))

    assert outcome != "warned" or "Set training.max_steps: " in found.value.findings[0].fix
    assert outcome == "not-applicable" or "150 steps: " in said[0]


def test_without_a_rehearsal_nothing_is_measured(project, expect):
    project.set(gate={"max_hours": 1e-7})

    expect("HW-123", "not-applicable")

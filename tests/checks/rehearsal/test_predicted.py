"""RUN-211 memory-as-predicted: the trace beside what a card counted."""

from dataclasses import replace

import pytest

from preflight.checks.rehearsal.predicted import the_measured_memory_is_what_was_predicted as check
from preflight.findings import Found, NotApplicable
from preflight.model.memory import Job, Prediction
from preflight.rehearsal.facts import Memory
from preflight.strategy import Strategy
from preflight.target import Gpu, Target

from .conftest import SOUND

GIB = 2**30
CARD = Target(local=True, gpus=(Gpu("Card", 16 * GIB),))
JOB = Job(model={}, weights="bfloat16", adapter=None, batch=1, length=8)
TRACED = Prediction(JOB, CARD, Strategy("single", 1), (0, 0), 10 * GIB, 11 * GIB, {})


def judge(config, measured, prediction=TRACED):
    said = []
    facts = replace(SOUND, memory=Memory(GIB, measured, measured, 16 * GIB))
    check(config, facts, prediction, lambda text, **_: said.append(text), type("Limits", (), {"max_off": 0.1}))
    return said[0]


@pytest.fixture
def config(project):
    from preflight.config import load_config

    return load_config(project.write())


@pytest.mark.parametrize("gib", [9.2, 10, 11])
def test_what_was_predicted_was_measured(config, gib):
    assert "predicted 10.0 GiB" in judge(config, int(gib * GIB))


@pytest.mark.parametrize("gib", [8, 13])
def test_a_difference_is_said(config, gib):
    with pytest.raises(Found) as found:
        judge(config, int(gib * GIB))

    assert f"{gib}.0 GiB" in found.value.findings[0].message


def test_without_a_card_or_a_trace_there_is_nothing_to_compare(config):
    with pytest.raises(NotApplicable, match="on the CPU"):
        judge(config, None)
    with pytest.raises(NotApplicable, match="not traced"):
        judge(config, 10 * GIB, replace(TRACED, problem="a formula"))

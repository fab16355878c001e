"""Rehearsals of the sound project, played in this process, and facts that a test makes up."""

import inspect
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from preflight.findings import Finding, Found, NotApplicable
from preflight.registry import meta_of
from preflight.rehearsal.facts import Batch, Checkpoint, Memory, Parameters, Rehearsal, Step

SOUND = Rehearsal(
    key="key",
    device="cpu",
    half=False,
    typical=Batch([1, 2], [40, 40], ["train.jsonl:2", "train.jsonl:3"]),
    longest=Batch([8, 9], [90, 100], ["train.jsonl:9", "train.jsonl:10"]),
    phase="done",
    base=3.0,
    fresh=3.0,
    trained=2.5,
    padding=1e-6,
    summed=1e-6,
    steps=[
        Step("typical", 2.0, 3.0, False),
        Step("longest", 5.0, 2.9, False),
        Step("typical", 1.0, 2.8, False),
        Step("typical", 1.0, 2.6, False),
    ],
    parameters=Parameters(trained=4, frozen=9, unmoved=[], moved=[], silent=[], not_finite=[]),
    memory=Memory(2 * 2**30, None, None, 16 * 2**30),
    checkpoint=Checkpoint(2**20, True, [], 0.0, 0.4),
    seconds=30.0,
)


@pytest.fixture
def sound() -> Callable[..., Rehearsal]:
    """`sound(fresh=9.0)`: the facts of a rehearsal in which all went well, but for those given."""

    def make(**changes: Any) -> Rehearsal:
        of_parameters = changes.keys() & {"unmoved", "moved", "silent", "not_finite", "frozen"}
        parameters = replace(SOUND.parameters, **{name: changes.pop(name) for name in of_parameters})
        return replace(SOUND, **{"parameters": parameters, **changes})

    return make


@pytest.fixture
def rehearsed(project) -> Callable[[], Rehearsal]:
    """The facts of a rehearsal of the project as it stands, in this process: starting another takes seconds."""
    from accelerate.state import AcceleratorState

    from preflight.config import load_config
    from preflight.data.prepare import prepare
    from preflight.model.tokenizer import load_tokenizer
    from preflight.rehearsal import facts, plan, supervise
    from preflight.rehearsal.play import play

    project.set(training={"per_device_train_batch_size": 2, "per_device_eval_batch_size": 2})

    def run() -> Rehearsal:
        config = load_config(project.write())
        data = prepare(config, load_tokenizer(config))
        job = supervise.job_of(config, data, plan.rows_of(config, data), "key")
        scratch = project.folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        AcceleratorState._reset_state(reset_partial_state=True)  # or the last test's precision stays
        path = project.folder / "facts.json"
        with suppress(Exception):  # it is among the facts
            play(job, path, scratch)
        found = facts.read(path)
        assert found is not None
        return found

    return run


@pytest.fixture
def verdict(project) -> Callable[..., list[Finding] | None]:
    """`verdict(check, facts)`: what a check finds in them; None if it is not applicable."""
    from preflight.config import load_config

    def run(check: Callable[..., None], rehearsal: Rehearsal, **given: Any) -> list[Finding] | None:
        arguments = {
            "rehearsal": rehearsal,
            "config": load_config(project.write()),
            "limits": SimpleNamespace(**meta_of(check).thresholds),
            "evidence": lambda *_, **__: None,
            "module_tree": SimpleNamespace(vocabulary=49152),
            **given,
        }
        try:
            check(**{name: arguments[name] for name in inspect.signature(check).parameters})
        except Found as found:
            return list(found.findings)
        except NotApplicable:
            return None
        return []

    return run

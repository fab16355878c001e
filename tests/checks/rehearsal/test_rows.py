"""RUN-207 and RUN-208: a row is the same padded and alone, at once and accumulated."""

import math
import runpy
from pathlib import Path

import pytest

from preflight.checks.rehearsal.accumulation import accumulated_gradients_are_those_of_one_batch
from preflight.checks.rehearsal.padding import a_padded_row_is_what_it_is_alone

PADDING, EXACT = a_padded_row_is_what_it_is_alone, accumulated_gradients_are_those_of_one_batch  # RUN-207, RUN-208
REMOTE = runpy.run_path(str(Path(__file__).parent / "remote.py"))


@pytest.mark.parametrize(
    "check, facts, found",
    [
        pytest.param(PADDING, {}, 0, id="the same"),
        pytest.param(PADDING, {"padding": None}, None, id="nothing padded"),
        pytest.param(PADDING, {"padding": 0.05, "half": True}, 0, id="16 bits round"),
        pytest.param(PADDING, {"padding": 0.05}, 1, id="another text"),
        pytest.param(PADDING, {"padding": math.nan}, 1, id="NaN"),
        pytest.param(EXACT, {}, 0, id="exact"),
        pytest.param(EXACT, {"summed": 0.05, "half": True}, 0, id="sums in 16 bits"),
        pytest.param(EXACT, {"summed": 0.3}, 1, id="means of means"),
        pytest.param(EXACT, {"summed": 3.0, "half": True}, 1, id="a sum for a mean"),
        pytest.param(EXACT, {"summed": None}, None, id="nothing to compare"),
    ],
)
def test_what_is_said_of_facts(project, verdict, sound, check, facts, found):
    project.set(training={"gradient_accumulation_steps": 4})
    findings = verdict(check, sound(**facts))

    assert findings is None if found is None else len(findings) == found


def test_a_run_that_does_not_accumulate_has_nothing_to_compare(project, verdict, sound):
    assert verdict(EXACT, sound(summed=0.5)) is None
    project.set(lora=None, training={"gradient_accumulation_steps": 4})
    assert verdict(EXACT, sound(summed=None)) is None


def test_padding_that_reaches_the_row_is_found(project, model, rehearsed, verdict):
    REMOTE["plant"](model, REMOTE["LEAKS"])
    project.set(model={"trust_remote_code": True})
    facts = rehearsed()
    (finding,) = verdict(PADDING, facts)

    assert facts.padding > 0.01
    assert finding.message == "a row gives something else when it is padded"


def test_a_loss_that_is_averaged_by_micro_batch_is_found(project, model, rehearsed, verdict):
    """A model that refuses the trainer's count of tokens, which is what `accepts_loss_kwargs` is about."""
    code = REMOTE["CODE"].replace(
        "class Faulty(LlamaForCausalLM):", "class Faulty(LlamaForCausalLM):\n    accepts_loss_kwargs = False\n"
    )
    REMOTE["plant"](model, "pass")
    (model / "faulty.py").write_text(code.format(fault="pass"))
    project.set(model={"trust_remote_code": True}, training={"gradient_accumulation_steps": 2})
    project.rows(
        [
            {"messages": [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "one " * n}]}
            for n in range(1, 41)
        ]
    )
    facts = rehearsed()
    (finding,) = verdict(EXACT, facts)

    assert facts.summed > 0.1
    assert finding.message == "accumulated gradients are not those of the whole batch"
    assert verdict(PADDING, facts) == []

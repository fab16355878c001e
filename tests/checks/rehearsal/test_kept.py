"""RUN-203 and RUN-205: the base stays what it is, and what is saved is what was trained."""

import math
import runpy
from pathlib import Path

import pytest

from preflight.checks.rehearsal.base_stays import only_what_is_trained_changes
from preflight.checks.rehearsal.reloads import a_saved_checkpoint_is_the_trained_model
from preflight.rehearsal.facts import Checkpoint

STAYS, RELOADS = only_what_is_trained_changes, a_saved_checkpoint_is_the_trained_model  # RUN-203, RUN-205
REMOTE = runpy.run_path(str(Path(__file__).parent / "remote.py"))


def saved(difference, effect=0.5, unequal=()):
    return {"checkpoint": Checkpoint(2**20, True, list(unequal), difference, effect)}


@pytest.mark.parametrize(
    "check, facts, found",
    [
        pytest.param(STAYS, {}, 0, id="stays"),
        pytest.param(STAYS, {"moved": ["model.norm.weight"]}, 1, id="moves"),
        pytest.param(RELOADS, {}, 0, id="the same"),
        pytest.param(RELOADS, saved(0.0005), 0, id="float32 in another order"),
        pytest.param(RELOADS, {**saved(0.05, 0.05), "half": True}, 0, id="16 bits round"),
        pytest.param(RELOADS, {**saved(0.12, 0.8), "half": True}, 0, id="a little of a large effect"),
        pytest.param(RELOADS, saved(0.5), 1, id="all is lost"),
        pytest.param(RELOADS, saved(0.25), 1, id="half is lost"),
        pytest.param(RELOADS, {**saved(0.5), "half": True}, 1, id="lost in 16 bits"),
        pytest.param(RELOADS, {**saved(0.01, 0.01), "half": True}, 0, id="an effect too small to tell"),
        pytest.param(RELOADS, {**saved(0.01, 0.01, ["lora_A"]), "half": True}, 1, id="another tensor"),
        pytest.param(RELOADS, saved(math.nan, math.nan), None, id="no numbers"),
        pytest.param(RELOADS, saved(math.nan), 1, id="only the loaded one has none"),
        pytest.param(RELOADS, {"checkpoint": None}, None, id="could not be looked at"),
    ],
)
def test_what_is_said_of_facts(verdict, sound, check, facts, found):
    findings = verdict(check, sound(**facts))

    assert findings is None if found is None else len(findings) == found


def test_full_fine_tuning_freezes_nothing(project, verdict, sound):
    project.set(lora=None)

    assert verdict(STAYS, sound(frozen=0)) is None


def test_a_base_that_drifts_while_it_trains_is_found(project, model, rehearsed, verdict):
    REMOTE["plant"](model, REMOTE["DRIFTS"])
    project.set(model={"trust_remote_code": True})
    facts = rehearsed()
    (finding,) = verdict(STAYS, facts)

    assert finding.message == "1 frozen tensor of the base model changed: base_model.model.model.norm.weight"
    assert finding.observed == "1 of 20 changed"


@pytest.mark.parametrize("start, found", [("pissa_niter_4", 1), ("pissa", 0), ("olora", 0), ("gaussian", 0)])
def test_adapters_that_change_their_base_are_loaded_again(project, rehearsed, verdict, start, found):
    """A random method takes another part out of the base when the adapter is loaded than when it was made."""
    project.set(lora={"init_lora_weights": start})
    findings = verdict(RELOADS, rehearsed())

    assert len(findings) == found
    assert not found or findings[0].fix == "Set lora.init_lora_weights: pissa."


def test_what_is_trained_and_not_saved_is_found(project, model, rehearsed, verdict):
    """The norm changes with each step and is no part of the adapter: the checkpoint lacks it."""
    REMOTE["plant"](model, REMOTE["DRIFTS"].replace("1.001", "1.2"))
    project.set(model={"trust_remote_code": True})
    (finding,) = verdict(RELOADS, rehearsed())

    assert finding.message == "the checkpoint is not the model that was trained"

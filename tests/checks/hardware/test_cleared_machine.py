"""ENV-140: the machine that trains has the cards that the run was cleared for."""

from types import SimpleNamespace

import pytest

from preflight.checks.hardware.cleared_machine import the_machine_is_one_that_was_cleared_for as check
from preflight.findings import Found
from preflight.registry import meta_of
from preflight.target import GIB, Gpu, Target

L4 = Gpu("NVIDIA L4", int(22.0 * GIB))
A100 = Gpu("A100", int(79.14 * GIB))
SMALL = Gpu("NVIDIA A100-SXM4-40GB", int(39.4 * GIB))


def judge(here, cleared, **values):
    try:
        check(
            config=SimpleNamespace(where=lambda key: key),
            cleared_for=Target(local=False, gpus=cleared),
            target=Target(local=True, gpus=here, **values),
            limits=SimpleNamespace(**meta_of(check).thresholds),
            evidence=lambda *_, **__: None,
        )
    except Found as found:
        return found.findings
    return ()


@pytest.mark.parametrize(
    "here, cleared",
    [
        pytest.param((), (), id="CPU both times"),
        pytest.param((L4,), (), id="a card more than none"),
        pytest.param((L4,), (L4,), id="the same"),
        pytest.param((L4, L4), (L4,), id="more cards"),
        pytest.param((A100,), (L4,), id="a larger card"),
        pytest.param((Gpu("A100", int(78.9 * GIB)),), (A100,), id="another driver"),
    ],
)
def test_a_machine_that_has_what_was_judged_passes(here, cleared):
    assert judge(here, cleared) == ()


@pytest.mark.parametrize(
    "here, cleared, message",
    [
        pytest.param((), (L4,), "torch can use 0 cards here, and the run was cleared for 1", id="no card"),
        pytest.param((L4,), (L4, L4), "torch can use 1 card here, and the run was cleared for 2", id="fewer cards"),
        pytest.param(
            (SMALL,), (A100,), "a card here has 39.4 GiB, and the run was cleared for cards of 79.1 GiB", id="small"
        ),
        pytest.param((A100, SMALL), (A100, A100), "a card here has 39.4 GiB", id="one of two is small"),
    ],
)
def test_a_machine_that_has_less_is_named_with_both_sides(here, cleared, message):
    (finding,) = judge(here, cleared)

    assert finding.message.startswith(message)
    assert finding.fix


@pytest.mark.parametrize(
    "values, fix",
    [
        ({}, "Train on the machine that was described"),
        ({"driver_cards": ("NVIDIA L4",)}, "this torch is built without CUDA"),
        ({"driver_cards": ("NVIDIA L4",), "cuda": "12.8"}, "look at CUDA_VISIBLE_DEVICES"),
    ],
)
def test_the_fix_knows_whether_the_driver_has_a_card(values, fix):
    (finding,) = judge((), (L4,), **values)

    assert fix in finding.fix


def test_torchs_own_words_are_what_was_observed():
    (finding,) = judge((), (L4,), problem="The NVIDIA driver on your system is too old")

    assert finding.observed == "The NVIDIA driver on your system is too old"


def test_the_gate_itself_leaves_it_to_the_trainer(expect):
    expect("ENV-140", "not-applicable")

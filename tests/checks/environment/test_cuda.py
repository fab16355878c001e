"""ENV-102 cuda-version, ENV-103 cards-usable, ENV-104 card-in-build."""

import pytest

from preflight.environment.kernels import runs_on


@pytest.mark.parametrize(
    ("machine", "outcome", "words"),
    [
        ({"cuda": "12.8", "driver": "570.1"}, "passed", ()),
        ({"cuda": "12.8", "driver": "525.60.13"}, "passed", ()),  # minor versions go together
        ({"cuda": "12.8", "driver": "470.1"}, "failed", ("525",)),
        ({"cuda": "13.0", "driver": "570.1"}, "failed", ("580",)),
        ({"cuda": "11.7", "driver": "470.1"}, "failed", ("11.8",)),
        ({"cuda": "11.8", "driver": "470.1"}, "passed", ()),
        ({"cuda": "12.8", "driver": None}, "passed", ()),
        ({"cuda": "twelve", "driver": None}, "not-applicable", ()),
        ({"cuda": None, "gpus": ()}, "not-applicable", ()),
    ],
)
def test_cuda_is_new_enough_for_bitsandbytes_and_old_enough_for_the_driver(expect, on_machine, machine, outcome, words):
    on_machine(**machine)

    findings = expect("ENV-102", outcome)

    assert all(word in finding["expected"] for finding, word in zip(findings, words, strict=True))


@pytest.mark.parametrize(("cuda", "outcome"), [("11.7", "failed"), ("12.4", "passed"), (None, "not-applicable")])
def test_cuda_of_a_described_machine(project, expect, cuda, outcome):
    project.set(hardware={"gpu": "A100", "memory_gib": 80, **({"cuda": cuda} if cuda else {})})

    expect("ENV-102", outcome)


@pytest.mark.parametrize(
    ("machine", "outcome"),
    [
        ({}, "passed"),
        ({"gpus": (), "cuda": None}, "warned"),  # a torch without CUDA
        ({"gpus": ()}, "warned"),  # hidden
        ({"gpus": (), "driver_cards": ()}, "not-applicable"),
    ],
)
def test_a_card_that_torch_cannot_use_is_told(expect, on_machine, machine, outcome):
    on_machine(**machine)

    expect("ENV-103", outcome)


@pytest.mark.parametrize(
    ("capability", "built", "runs"),
    [
        ((8, 0), ["sm_80"], True),
        ((8, 6), ["sm_80"], True),  # the same major version
        ((8, 0), ["sm_86"], False),
        ((9, 0), ["sm_80", "sm_90"], True),
        ((12, 0), ["sm_80", "sm_90"], False),
        ((12, 0), ["sm_80", "compute_90"], True),  # PTX is compiled for it
        ((6, 1), ["sm_70", "sm_80", "compute_80"], False),
        ((9, 0), ["sm_90a"], True),
        ((10, 0), ["sm_100"], True),
        ((12, 0), ["sm_120"], True),
        ((8, 0), [], True),  # nothing is known
    ],
)
def test_which_cards_a_build_runs_on(capability, built, runs):
    assert runs_on(capability, built) is runs


def test_a_card_without_kernels_blocks(expect, on_machine, monkeypatch):
    import torch

    on_machine()
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_120"])
    (finding,) = expect("ENV-104", "failed")
    assert "8.6" in finding["observed"]

    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_80", "sm_86"])
    expect("ENV-104", "passed")


def test_without_a_card_there_is_nothing_to_try(expect):
    expect("ENV-104", "not-applicable")

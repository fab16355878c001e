"""ENV-115 liger-works: installed, and a card to compute on."""

import importlib.util

import pytest

LIGER = {"use_liger_kernel": True}
CARD = {"gpu": "A100", "memory_gib": 80}


@pytest.mark.parametrize(
    "training, hardware, outcome, words",
    [
        pytest.param({}, {}, "not-applicable", "", id="not asked for"),
        pytest.param(LIGER, {}, "failed", "there is no card", id="on this machine without a card"),
        pytest.param(LIGER, {"count": 0}, "failed", "there is no card", id="described without a card"),
        pytest.param(LIGER, CARD, "passed", "", id="on a card elsewhere"),
    ],
)
def test_liger_needs_a_card(project, expect, training, hardware, outcome, words):
    project.set(training=training, hardware=hardware)

    findings = expect("ENV-115", outcome)

    assert all(words in finding["message"] for finding in findings)


def test_liger_must_be_installed_where_it_trains(project, expect, on_machine, monkeypatch):
    project.set(training=LIGER)
    on_machine()
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "liger_kernel" else find(name))
    (finding,) = expect("ENV-115", "failed")
    assert "not installed" in finding["message"]
    assert "finetune-preflight[liger]" in finding["fix"]

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "liger_kernel" else find(name))
    expect("ENV-115", "passed")

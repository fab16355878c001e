"""ENV-105 bitsandbytes-works, ENV-106 flash-attention-works: tried, not imported."""

import pytest

from preflight.environment import trial

NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float32"}


@pytest.fixture(autouse=True)
def installed():
    pytest.importorskip("bitsandbytes")


@pytest.mark.parametrize("bits", ["4", "8"])
def test_a_quantized_layer_computes_on_this_machine(bits):
    assert trial.fails(trial.QUANTIZED, bits, "float32") is None


@pytest.mark.parametrize(
    ("code", "seconds", "words"),
    [
        ("raise RuntimeError('CUDA setup failed')", 60, "RuntimeError: CUDA setup failed"),
        ("import time; time.sleep(60)", 1, "no answer within 1 s"),
        ("import os; os.kill(os.getpid(), 9)", 60, "killed by signal 9"),
        ("raise SystemExit(3)", 60, "exit code 3"),
        ("print('fine')", 60, None),
    ],
)
def test_a_trial_says_what_went_wrong(code, seconds, words):
    found = trial.fails(code, seconds=seconds)

    assert (found is None) == (words is None)
    assert words is None or words in found


def test_quantization_is_proven_by_a_real_layer(project, expect):
    project.set(quantization=NF4)

    expect("ENV-105", "passed")


def test_a_broken_bitsandbytes_blocks_with_its_own_words(project, expect, monkeypatch):
    project.set(quantization=NF4, training={"optim": "paged_adamw_8bit"})
    monkeypatch.setattr(trial, "QUANTIZED", "raise RuntimeError('no library for CUDA 99')")
    monkeypatch.setattr(trial, "OPTIMIZER", "print('ok')")
    (finding,) = expect("ENV-105", "failed")

    assert "no library for CUDA 99" in finding["observed"]
    assert "4-bit" in finding["message"]


def test_an_optimizer_of_bitsandbytes_is_tried_too(project, expect, monkeypatch):
    project.set(training={"optim": "adamw_8bit"})
    monkeypatch.setattr(trial, "OPTIMIZER", "raise RuntimeError('no kernel')")
    (finding,) = expect("ENV-105", "failed")

    assert "adamw_8bit" in finding["message"]


@pytest.mark.parametrize(
    ("sections", "reason"),
    [({}, "nothing of bitsandbytes"), ({"hardware": {"gpu": "T4", "memory_gib": 16}, "quantization": NF4}, "another")],
)
def test_what_is_not_used_or_not_here_is_not_tried(project, sections, reason):
    project.set(**sections)
    run = project.gate("-k", "ENV-105")

    assert run.outcome("ENV-105") == "not-applicable"
    assert reason in str(run.check("ENV-105"))


FLASH = {"attn_implementation": "flash_attention_2", "dtype": "bfloat16"}


@pytest.mark.parametrize(
    ("hardware", "model", "outcome", "words"),
    [
        ({"target": "local"}, FLASH, "failed", "no card"),
        ({"gpu": "T4", "memory_gib": 16}, FLASH, "failed", "8.0"),
        ({"gpu": "A100", "memory_gib": 80}, FLASH, "passed", ""),
        ({"gpu": "Some card", "memory_gib": 80}, FLASH, "passed", ""),
        ({"target": "local"}, {}, "not-applicable", ""),
    ],
)
def test_flash_attention_needs_a_card_that_has_it(project, expect, hardware, model, outcome, words):
    project.set(hardware=hardware, model=model)

    findings = expect("ENV-106", outcome)

    assert all(words in finding["message"] for finding in findings)


def test_flash_attention_is_tried_on_a_card_that_is_here(project, expect, on_machine, monkeypatch):
    import importlib.util

    project.set(model=FLASH)
    on_machine()
    (finding,) = expect("ENV-106", "failed")
    assert "not installed" in finding["message"]

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "flash_attn" else find(name))
    monkeypatch.setattr(trial, "FLASH", "raise ImportError('undefined symbol: _ZN3c10')")
    (finding,) = expect("ENV-106", "failed")
    assert "undefined symbol" in finding["observed"]

    monkeypatch.setattr(trial, "FLASH", "print('ok')")
    expect("ENV-106", "passed")

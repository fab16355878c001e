"""CFG-112 method-suits-card: the checklist's table of methods."""

import pytest

from preflight.method import TABLE, Facts, rslora_alpha

GIB = 2**30
SEVEN = 13.5 * GIB


@pytest.mark.parametrize(
    ("facts", "advised"),
    [
        (Facts(SEVEN, 16 * GIB, quantized=False, rank=16, rslora=False, full=False), ["QLoRA"]),
        (Facts(SEVEN, 16 * GIB, quantized=True, rank=16, rslora=False, full=False), []),
        (Facts(SEVEN, 24 * GIB, quantized=False, rank=16, rslora=False, full=False), []),
        (Facts(SEVEN, 24 * GIB, quantized=True, rank=16, rslora=False, full=False), []),
        (Facts(SEVEN, 80 * GIB, quantized=True, rank=16, rslora=False, full=False), ["LoRA"]),
        (Facts(SEVEN, 80 * GIB, quantized=False, rank=16, rslora=False, full=False), []),
        (Facts(SEVEN, 80 * GIB, quantized=False, rank=128, rslora=False, full=False), ["rslora"]),
        (Facts(SEVEN, 80 * GIB, quantized=False, rank=128, rslora=True, full=False), []),
        (Facts(SEVEN, 80 * GIB, quantized=False, rank=0, rslora=False, full=True), []),
        (Facts(SEVEN, 16 * GIB, quantized=False, rank=0, rslora=False, full=True), []),  # memory-fits speaks
    ],
)
def test_the_table(facts, advised):
    found = [advice.fix for advice in TABLE if advice.holds(facts)]

    assert len(found) == len(advised)
    assert all(word in fix for word, fix in zip(advised, found, strict=True))


@pytest.mark.parametrize(("rank", "alpha"), [(1, 2), (16, 8), (64, 16), (256, 32)])
def test_rsloras_alpha_scales_as_twice_the_rank_does_without(rank, alpha):
    assert rslora_alpha(rank) == alpha


@pytest.mark.parametrize(
    ("hardware", "lora", "outcome"),
    [
        ({"target": "local"}, {}, "not-applicable"),
        ({"gpu": "A100", "memory_gib": 80}, {}, "passed"),
        ({"gpu": "A100", "memory_gib": 80}, {"r": 64, "lora_alpha": 128}, "warned"),
        ({"gpu": "A100", "memory_gib": 80}, {"r": 64, "lora_alpha": 16, "use_rslora": True}, "passed"),
    ],
)
def test_it_is_advice(project, expect, hardware, lora, outcome):
    project.set(hardware=hardware, lora=lora)

    findings = expect("CFG-112", outcome)

    assert all("lora.lora_alpha: 16" in finding["fix"] for finding in findings)

"""HW-130 bf16-hardware: by compute capability, never by what emulates."""

import pytest

T4 = {"gpu": "T4", "memory_gib": 16}
A100 = {"gpu": "A100", "memory_gib": 80}
UNKNOWN = {"gpu": "Some card", "memory_gib": 24}
CPU = {"target": "local"}
NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
BF16, FP16 = {"bf16": True}, {"bf16": False, "fp16": True}


@pytest.mark.parametrize(
    ("hardware", "training", "quantization", "outcome"),
    [
        (T4, BF16, None, "failed"),
        (T4, {}, None, "failed"),  # TRL's default is bf16
        (T4, FP16, {**NF4, "bnb_4bit_compute_dtype": "bfloat16"}, "failed"),
        (T4, {**FP16, "tf32": True}, None, "failed"),
        (T4, FP16, {**NF4, "bnb_4bit_compute_dtype": "float16"}, "not-applicable"),
        (A100, BF16, None, "passed"),
        (UNKNOWN, BF16, None, "passed"),
        ({**UNKNOWN, "bf16": False}, BF16, None, "failed"),
        ({**T4, "bf16": True}, BF16, None, "passed"),  # the config knows better
        (CPU, BF16, None, "not-applicable"),
    ],
)
def test_old_cards_do_not_compute_in_bfloat16(project, expect, hardware, training, quantization, outcome):
    project.set(hardware=hardware, training=training)
    if quantization:
        project.set(quantization=quantization)

    findings = expect("HW-130", outcome)

    if outcome == "failed":
        assert any("fp16: true" in f["fix"] or "float16" in f["fix"] or "tf32: false" in f["fix"] for f in findings)

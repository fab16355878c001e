"""CFG-160 mixed-precision to CFG-164 attention-backend: CFG-161, CFG-162, CFG-163 between them."""

import json

import pytest

T4 = {"gpu": "T4", "memory_gib": 16}
A100 = {"gpu": "A100", "memory_gib": 80}
UNKNOWN = {"gpu": "Some card", "memory_gib": 24}
CPU = {"target": "local"}
NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
BF16, FP16, NEITHER = {"bf16": True}, {"bf16": False, "fp16": True}, {"bf16": False}


@pytest.fixture
def stored(project, tmp_path, tiny):
    """Say in the model's config.json what its weights were trained in."""

    def say(dtype, **changes):
        folder = tmp_path / "stored"
        folder.mkdir(exist_ok=True)
        for path in tiny.iterdir():
            if not (folder / path.name).exists():
                (folder / path.name).symlink_to(path)
        settings = json.loads((tiny / "config.json").read_text()) | {"dtype": dtype} | changes
        (folder / "config.json").unlink()
        (folder / "config.json").write_text(json.dumps(settings))
        project.set(model={"name_or_path": str(folder)})

    return say


@pytest.mark.parametrize(
    ("hardware", "dtype", "training", "outcome"),
    [
        (A100, "float32", NEITHER, "warned"),
        (A100, "float32", BF16, "passed"),
        (T4, "float32", FP16, "passed"),
        (A100, "bfloat16", NEITHER, "passed"),
        (CPU, "float32", {}, "not-applicable"),
    ],
)
def test_a_card_computes_in_16_bits(project, expect, hardware, dtype, training, outcome):
    project.set(hardware=hardware, model={"dtype": dtype}, training=training)

    expect("CFG-160", outcome)


@pytest.mark.parametrize(
    ("trained_in", "dtype", "training", "outcome"),
    [
        ("bfloat16", "float32", FP16, "warned"),
        ("bfloat16", "float16", NEITHER, "warned"),
        ("bfloat16", "bfloat16", BF16, "not-applicable"),
        ("float16", "float16", FP16, "passed"),
        ("float32", "float32", FP16, "passed"),
    ],
)
def test_bfloat16_models_are_not_tuned_in_float16(project, expect, stored, trained_in, dtype, training, outcome):
    stored(trained_in)
    project.set(hardware=A100, model={"dtype": dtype}, training=training)

    expect("CFG-161", outcome)


SAVED = {"modules_to_save": ["lm_head"]}


@pytest.mark.parametrize(
    ("dtype", "training", "lora", "outcome"),
    [
        ("float16", FP16, None, "failed"),  # full fine-tuning
        ("float16", FP16, SAVED, "failed"),
        ("float16", FP16, {}, "passed"),  # peft keeps adapters in float32
        ("float32", FP16, None, "passed"),
        ("float32", FP16, SAVED, "passed"),
        ("bfloat16", BF16, SAVED, "not-applicable"),
    ],
)
def test_what_fp16_trains_is_in_float32(project, expect, dtype, training, lora, outcome):
    project.set(hardware=A100, model={"dtype": dtype}, training=training)
    project.set(lora=lora)

    expect("CFG-162", outcome)


@pytest.mark.parametrize(
    ("quantization", "training", "outcome", "wanted"),
    [
        (NF4, BF16, "warned", "bfloat16"),
        (NF4, FP16, "warned", "float16"),
        ({**NF4, "bnb_4bit_compute_dtype": "float16"}, BF16, "warned", "bfloat16"),
        ({**NF4, "bnb_4bit_compute_dtype": "bfloat16"}, BF16, "passed", ""),
        ({"load_in_8bit": True}, BF16, "not-applicable", ""),
        (None, BF16, "not-applicable", ""),
    ],
)
def test_quantized_layers_compute_as_the_run_does(project, expect, quantization, training, outcome, wanted):
    project.set(hardware=A100, training=training)
    if quantization:
        project.set(quantization=quantization)

    findings = expect("CFG-163", outcome)

    assert all(finding["fix"].endswith(f"bnb_4bit_compute_dtype: {wanted}.") for finding in findings)


@pytest.mark.parametrize(
    ("family", "attention", "training", "outcome"),
    [
        ("llama", "sdpa", BF16, "passed"),
        ("llama", "eager", BF16, "passed"),
        ("llama", None, BF16, "not-applicable"),
        ("gemma2", "sdpa", BF16, "failed"),
        ("gemma2", "eager", BF16, "passed"),
        ("llama", "flash_attention_2", NEITHER, "failed"),
        ("llama", "flash_attention_2", BF16, "passed"),  # whether it is installed is another check's
    ],
)
def test_the_backend_suits_the_model(project, expect, stored, family, attention, training, outcome):
    architecture = {"llama": "LlamaForCausalLM", "gemma2": "Gemma2ForCausalLM"}[family]
    stored("float32", model_type=family, architectures=[architecture])
    project.set(hardware=A100, model={"attn_implementation": attention, "dtype": "float32"}, training=training)

    expect("CFG-164", outcome)

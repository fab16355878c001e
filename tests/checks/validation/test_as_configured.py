"""POST-120: the saved adapter against the config, with faults planted in what the trainer really wrote."""

import json

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from preflight.checks.validation import as_configured
from preflight.config import load_config
from preflight.evaluation import adapter
from preflight.evaluation.adapter import Tensor
from preflight.findings import NotApplicable, NotAvailable
from preflight.model import build
from preflight.model.tokenizer import load_tokenizer

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def judged(flown, judge):
    """Judge the run's adapter as it lies there now."""

    def findings():
        config = load_config(flown.write())
        return judge(
            as_configured.the_saved_adapter_is_the_one_of_the_config, config=config, tokenizer=load_tokenizer(config)
        )

    return findings


@pytest.fixture
def settings(flown):
    """Change the adapter's own config."""

    def change(**values):
        path = flown.folder / "run" / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


@pytest.fixture
def tensors(flown):
    """Change the adapter's tensors."""

    def change(edit):
        held = load_file(flown.folder / "run" / WEIGHTS)
        edit(held)
        save_file(held, flown.folder / "run" / WEIGHTS, metadata={"format": "pt"})

    return change


@pytest.fixture
def resave(flown):
    """Write an adapter with these settings in the place of the run's, as peft saves it."""

    def saved(**lora):
        from peft import get_peft_model

        flown.set(lora={**lora})
        config = load_config(flown.write())
        model = get_peft_model(build.load_base(config), build.lora_config(config))
        model.save_pretrained(flown.folder / "run")

    return saved


def test_the_runs_own_adapter(flown):
    run = flown.gate("-k", "POST-120", stage="postflight")

    assert run.outcome("POST-120") == "passed", run.screen
    assert run.check("POST-120")["evidence"] == {"tensors": 16, "bytes": 28672}


@pytest.mark.parametrize(
    "lora",
    [
        pytest.param({"target_modules": "all-linear"}, id="all linear layers"),
        pytest.param({"target_modules": r".*\.(q|v)_proj"}, id="a regular expression"),
        pytest.param({"use_dora": True}, id="DoRA"),
        pytest.param(
            {"use_rslora": True, "rank_pattern": {"q_proj": 4}, "alpha_pattern": {"v_proj": 8}}, id="patterns"
        ),
        pytest.param({"layers_to_transform": [1]}, id="one layer"),
        pytest.param({"modules_to_save": ["embed_tokens"]}, id="a copied embedding"),
        pytest.param({"trainable_token_indices": [5, 9]}, id="single tokens"),
        pytest.param({"target_modules": ["q_proj", "embed_tokens"]}, id="an adapter on the embedding"),
        pytest.param({"bias": "lora_only", "lora_dropout": 0.1}, id="bias and dropout"),
        pytest.param({"exclude_modules": ["o_proj"]}, id="one left out"),
        pytest.param({"init_lora_weights": "pissa"}, id="initial values computed"),
    ],
)
def test_an_adapter_of_every_kind(judged, resave, lora):
    resave(**lora)

    assert judged() == []


@pytest.mark.parametrize(
    "values, key",
    [
        pytest.param({"r": 8}, "r", id="rank"),
        pytest.param({"lora_alpha": 64}, "lora_alpha", id="alpha"),
        pytest.param({"use_rslora": True}, "use_rslora", id="rsLoRA"),
        pytest.param({"use_dora": True}, "use_dora", id="DoRA"),
        pytest.param({"target_modules": ["q_proj"]}, "target_modules", id="targets"),
        pytest.param({"target_modules": "all-linear"}, "target_modules", id="all layers"),
        pytest.param({"alpha_pattern": {"q_proj": 1}}, "alpha_pattern", id="alpha of one layer"),
        pytest.param({"modules_to_save": ["lm_head"]}, "modules_to_save", id="a copy"),
        pytest.param({"task_type": "SEQ_CLS"}, "task_type", id="a classifier"),
        pytest.param({"layers_to_transform": [0]}, "layers_to_transform", id="one layer"),
        pytest.param({"peft_type": "IA3"}, "peft_type", id="no LoRA"),
    ],
)
def test_other_settings(judged, settings, values, key):
    settings(**values)

    (finding,) = judged()
    assert key in finding.message
    assert json.dumps(values[key])[1:8] in finding.observed
    assert finding.where.endswith("adapter_config.json")
    assert key == "peft_type" or f"lora.{key}: " in finding.fix


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"target_modules": r".*self_attn\.[qkvo]_proj"}, id="the same layers as an expression"),
        pytest.param({"target_modules": ["o_proj", "v_proj", "k_proj", "q_proj"]}, id="another order"),
        pytest.param({"lora_alpha": 32.0, "modules_to_save": []}, id="the same, written otherwise"),
        pytest.param(
            {"r": 4, "rank_pattern": {".*_proj": 16}, "lora_alpha": 8, "alpha_pattern": {".*_proj": 32}}, id="pattern"
        ),
        pytest.param({"lora_dropout": 0.5, "inference_mode": False, "peft_version": "0.9.0"}, id="what is over"),
        pytest.param({"task_type": None}, id="no task"),
        pytest.param({"a_key_of_the_future": 1, "megatron_core": None}, id="unknown keys"),
    ],
)
def test_settings_that_come_to_the_same(judged, settings, values):
    settings(**values)

    assert judged() == []


def test_keys_that_an_old_peft_did_not_write(flown, judged):
    path = flown.folder / "run" / "adapter_config.json"
    kept = ("peft_type", "r", "lora_alpha", "target_modules", "task_type")
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key in kept}))

    assert judged() == []


def test_a_file_without_weights(judged, tensors):
    """It loads without an error, and does nothing."""
    tensors(lambda held: held.clear())

    (finding,) = judged()
    assert finding.message.startswith(
        "16 of 16 tensors are not in the file: base_model.model.model.layers.0.self_attn."
    )
    assert finding.observed == "0 tensors, 0 bytes"


@pytest.mark.parametrize(
    "edit, message",
    [
        pytest.param(
            lambda held: held.pop(next(name for name in held if "1.self_attn.v_proj.lora_A" in name)),
            "1 of 16 tensors are not in the file",
            id="one is missing",
        ),
        pytest.param(
            lambda held: held.update(
                {f"base_model.model.model.layers.2.q_proj.lora_{part}.weight": torch.ones(2, 2) for part in "AB"}
            ),
            "2 tensors of the file are not this config's",
            id="of a deeper base",
        ),
        pytest.param(
            lambda held: held.update({name: torch.ones(8, 3) for name in [next(iter(held))]}),
            "has another shape",
            id="another shape",
        ),
        pytest.param(
            lambda held: held.update({name: value.to(torch.int8) for name, value in held.items()}),
            "is of type I8",
            id="whole numbers",
        ),
    ],
)
def test_tensors_that_do_not_fit(judged, tensors, edit, message):
    tensors(edit)

    assert message in judged()[0].message


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_width_of_the_weights_is_free(judged, tensors, dtype):
    tensors(lambda held: held.update({name: value.to(dtype) for name, value in held.items()}))

    assert judged() == []


HEAD = "base_model.model.lm_head.weight"


@pytest.mark.parametrize(
    "rows, message, fix",
    [
        pytest.param(49160, "has 49,160 rows, the base model 49,152", "resize_token_embeddings(49160)", id="resized"),
        pytest.param(49000, "has 49,000 rows", "without shrinking", id="shrunk"),
        pytest.param(49152, None, None, id="saved without need"),
    ],
)
def test_an_embedding_in_the_file(judged, tensors, rows, message, fix):
    tensors(lambda held: held.update({HEAD: torch.zeros(rows, 32)}))

    findings = judged()
    assert len(findings) == bool(message)
    for finding in findings:
        assert message in finding.message
        assert fix in finding.fix


def test_more_tokens_than_rows():
    held = {HEAD: Tensor("BF16", (100, 8)), "x.lora_A.weight": Tensor("BF16", (4, 8))}

    (finding,) = as_configured.row_findings(held, rows=100, tokens=104, where="file")
    assert "too small for the tokenizer" in finding.message
    assert list(as_configured.row_findings(held, rows=100, tokens=100, where="file")) == []


def test_names_alone_are_left_to_loading():
    """A model class of another library version calls its layers otherwise; peft translates."""
    wanted = {"model.layers.0.q.lora_A.weight": (4, 8), "model.layers.0.q.lora_B.weight": (8, 4)}
    held = {name.replace("model.", "language_model.model."): Tensor("F32", shape) for name, shape in wanted.items()}

    assert list(as_configured.tensor_findings(wanted, held, "file")) == []


def test_experts_that_were_saved_one_by_one():
    wanted = {"layers.0.experts.gate_up_proj.lora_A.weight": (8, 8), "layers.0.q.lora_A.weight": (4, 8)}
    held = {f"layers.0.experts.{n}.up_proj.lora_A.weight": Tensor("F32", (4, 8)) for n in range(4)}
    held["layers.0.q.lora_A.weight"] = Tensor("F32", (4, 8))

    assert list(as_configured.tensor_findings(wanted, held, "file")) == []


@pytest.mark.parametrize("text", ["{", "[]", "7", ""])
def test_a_damaged_config_is_not_available(flown, judged, text):
    (flown.folder / "run" / "adapter_config.json").write_text(text)

    with pytest.raises(NotAvailable, match="POST-102"):
        judged()


def test_a_damaged_file_is_not_available(flown, judged):
    path = flown.folder / "run" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(NotAvailable, match="POST-102"):
        judged()


def test_full_fine_tuning(project, judge):
    config = load_config(project.set(lora=None).write())

    with pytest.raises(NotApplicable):
        judge(as_configured.the_saved_adapter_is_the_one_of_the_config, config=config, tokenizer=None)


def test_every_setting_that_is_compared_is_one_of_pefts():
    assert {*adapter.WHERE, *adapter.HOW, *adapter.OTHERS} <= LoraConfig.__dataclass_fields__.keys()

"""What the meta model says of an adapter, against peft on the real one."""

import json

import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from preflight.config import load_config
from preflight.model import files
from preflight.model.modules import matches, module_tree
from tests.zoo import settings_of


@pytest.fixture
def tree(project):
    return lambda **sections: module_tree(load_config(project.set(**sections).write()))


def real(tiny, **settings):
    """peft's own adapter on the real model."""
    model = AutoModelForCausalLM.from_pretrained(tiny)
    return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"target_modules": ["q_proj", "v_proj"]}, id="names"),
        pytest.param({"target_modules": ["self_attn.q_proj"]}, id="the end of a name"),
        pytest.param({"target_modules": ["model.layers.0.mlp.up_proj"]}, id="a whole name"),
        pytest.param({"target_modules": r".*\.(q|v)_proj"}, id="a regex"),
        pytest.param({"target_modules": "all-linear"}, id="all-linear"),
        pytest.param({"target_modules": ["q_proj", "embed_tokens"]}, id="the embedding"),
        pytest.param({"target_modules": ["q_proj"], "use_dora": True}, id="DoRA"),
        pytest.param({"target_modules": ["q_proj"], "use_rslora": True}, id="rsLoRA"),
        pytest.param({"target_modules": ["q_proj"], "init_lora_weights": "pissa"}, id="PiSSA"),
        pytest.param({"target_modules": ["q_proj"], "bias": "lora_only"}, id="bias"),
        pytest.param({"target_modules": ["q_proj"], "modules_to_save": ["norm"]}, id="a module trained whole"),
        pytest.param({"target_modules": ["q_proj"], "layers_to_transform": [1]}, id="one layer"),
        pytest.param({"target_modules": ["q_proj"], "rank_pattern": {"q_proj": 2}}, id="a rank of its own"),
        pytest.param({}, id="chosen by peft"),
    ],
)
def test_trainable_is_what_peft_trains(project, tree, tiny, settings):
    adapted = real(tiny, r=8, **settings)
    project.config["lora"] = {"r": 8, **settings}

    found = tree()

    assert found.problem is None
    assert (found.trainable, found.parameters) == (
        sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad),
        AutoModelForCausalLM.from_pretrained(tiny).num_parameters(),
    )


TARGETS = [
    *(["q_proj"], ["q_proj", "up_proj"], ["self_attn.q_proj"], ["layers.1.self_attn.v_proj"], ["embed_tokens"]),
    *(r".*q_proj", r".*\.(q|v)_proj", r"model\.layers\.0\..*_proj", "all-linear", "All-Linear"),
]


@pytest.mark.parametrize("targets", TARGETS, ids=str)
def test_matches_are_what_peft_targets(tree, tiny, targets):
    targeted = real(tiny, target_modules=targets).base_model.targeted_module_names

    assert sum(tree(lora={"target_modules": targets}).matched.values()) == len(targeted)


@pytest.mark.parametrize("targets", ["q_proj", ["proj"], ["Q_PROJ"], [".*q_proj"], ["q_proj.weight"], "q_proj|v_proj"])
def test_what_matches_nothing_is_refused_by_peft(tree, tiny, targets):
    with pytest.raises(ValueError, match="not found"):
        real(tiny, target_modules=targets)

    found = tree(lora={"target_modules": targets})
    assert set(found.matched.values()) == {0}
    assert found.problem
    assert found.trainable == 0


def test_matches_by_name():
    names = ["a", "x.a", "x.ba", "x.a.b"]

    assert matches(["a", "b", "c"], names, 0) == {"a": 2, "b": 1, "c": 0}
    assert matches(None, names, 0) == {}
    assert matches("(", names, 0) == {"(": 0}
    assert matches("all-linear", names, 3) == {"all-linear": 3}


def test_the_output_layer_is_not_offered_and_not_accepted(tree):
    assert "lm_head" not in tree().linears
    assert "output layer" in tree(lora={"target_modules": ["q_proj", "lm_head"]}).problem
    assert tree(lora={"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}).problem is None


def trainer(project, model, **adapter):
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = Dataset.from_dict({"input_ids": [[1, 2, 3]], "labels": [[1, 2, 3]]})
    settings = SFTConfig(output_dir=str(project.folder), use_cpu=True, bf16=False, report_to="none", max_length=None)
    settings.dataset_kwargs = {"skip_prepare_dataset": True}
    settings.max_steps, settings.save_strategy = 1, "no"
    adapter = LoraConfig(task_type="CAUSAL_LM", **adapter)
    return SFTTrainer(model=model, args=settings, train_dataset=rows, peft_config=adapter)


def test_trl_refuses_the_output_layer_as_we_say(project, tiny):
    """If TRL learns to train it, this finding must go."""
    with pytest.raises(ValueError, match="lm_head"):
        trainer(project, AutoModelForCausalLM.from_pretrained(tiny), target_modules=["lm_head"])


TOKENS = {"target_modules": ["q_proj"], "trainable_token_indices": [1, 2]}


def test_single_tokens_of_a_tied_embedding(project, tree, tiny):
    """TRL asks the output layer for a bias that peft's wrapper lacks; if it no longer does, this finding must go."""
    found = tree(lora=TOKENS)

    assert found.tied
    assert found.trainable == sum(
        parameter.numel() for parameter in real(tiny, r=16, **TOKENS).parameters() if parameter.requires_grad
    )
    assert "no single tokens" in found.problem
    with pytest.raises(AttributeError, match="TrainableTokensWrapper"):
        trainer(project, AutoModelForCausalLM.from_pretrained(tiny), **TOKENS).train()


@pytest.mark.parametrize(
    "lora",
    [
        pytest.param({"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}, id="the embedding, tied"),
        pytest.param({"modules_to_save": ["lm_head"]}, id="the output layer"),
    ],
)
def test_what_trl_trains_of_a_tied_embedding(project, tree, tiny, lora):
    lora = {"target_modules": ["q_proj"], **lora}

    assert tree(lora=lora).problem is None
    trainer(project, AutoModelForCausalLM.from_pretrained(tiny), **lora).train()


@pytest.fixture
def zoo(project, tree):
    """The tree of a model of the zoo."""

    def make(name, **lora):
        folder = project.folder / name
        folder.mkdir()
        settings_of(name).to_json_file(folder / "config.json")
        project.config["lora"] = lora
        return tree(model={"name_or_path": name})

    return make


@pytest.mark.parametrize(
    "name, targets, matched",
    [
        ("mixtral", ["q_proj", "w1", "w2", "w3"], {"q_proj": 4, "w1": 4, "w2": 4, "w3": 4}),
        ("qwen3_moe", ["gate_proj", "up_proj", "down_proj"], dict.fromkeys(["gate_proj", "up_proj", "down_proj"], 4)),
        ("qwen3_moe", r".*experts\.(gate|up|down)_proj", {r".*experts\.(gate|up|down)_proj": 12}),
        ("gpt_oss", ["q_proj", "gate_up_proj"], {"q_proj": 4, "gate_up_proj": 0}),
    ],
)
def test_the_former_names_of_fused_experts(zoo, name, targets, matched):
    found = zoo(name, target_modules=targets)

    assert found.matched == matched
    assert found.problem is None
    assert {layer.leaf for layer in found.layers if layer.adapted and layer.role == "expert"} == (
        set() if name == "gpt_oss" else {"gate_up_proj", "down_proj"}
    )


@pytest.mark.parametrize("name", ["gemma3", "llava", "qwen2_vl", "qwen2_audio"])
def test_models_for_more_than_text_are_built(zoo, name):
    """Those that have no class for text alone are loaded as the trainer loads them."""
    found = zoo(name, target_modules=["q_proj"])

    assert found.problem is None
    assert found.vocabulary == 128
    assert {"language"} < {layer.tower for layer in found.layers}
    assert set(found.linears) == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


@pytest.mark.parametrize("kind", ["loftq", "corda", "orthogonal", "eva", "mica"])
def test_values_that_need_the_weights_are_no_problem_on_the_meta_device(tree, kind):
    extra = {"loftq_config": {"loftq_bits": 4}} if kind == "loftq" else {}

    assert tree(lora={"target_modules": ["q_proj"], "init_lora_weights": kind, **extra}).problem is None


def test_a_70b_model_is_judged_by_its_config_alone(project, tree, tiny):
    """280 GB in float32, if any of it were made."""
    folder = project.folder / "large"
    folder.mkdir()
    settings = json.loads((tiny / "config.json").read_text())
    sizes = {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80}
    heads = {"num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128}
    (folder / "config.json").write_text(json.dumps({**settings, **sizes, **heads}))

    found = tree(model={"name_or_path": "large"})

    assert found.parameters > 65e9
    assert found.matched["q_proj"] == 80


@pytest.mark.parametrize(
    "text, message",
    [
        pytest.param('{"model_type": "no-such-model"}', "transformers can't build", id="unknown architecture"),
        pytest.param('{"model_type": "t5"}', "transformers can't build", id="no causal language model"),
        pytest.param('{"model_type": "llama", "hidden_size": "many"}', "transformers can't build", id="a wrong value"),
        pytest.param("{}", "transformers can't build", id="nothing in it"),
    ],
)
def test_a_config_that_makes_no_model(project, tree, text, message):
    folder = project.folder / "odd"
    folder.mkdir()
    (folder / "config.json").write_text(text)

    with pytest.raises(files.ModelFilesError, match=message) as caught:
        tree(model={"name_or_path": "odd"})
    assert "\n" not in str(caught.value)

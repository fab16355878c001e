"""CFG-101: names that match nothing, among names that do, in every form that peft takes."""

import pytest

from preflight.checks.method.target_modules import every_target_module_exists_in_the_model
from preflight.config import load_config

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
NAMES = "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"


@pytest.mark.parametrize(
    "targets, observed, fix",
    [
        pytest.param([*ATTENTION, "qate_proj"], ["qate_proj"], "Replace qate_proj by gate_proj.", id="one misspelt"),
        pytest.param(["q_proj", "v_porj"], ["v_porj"], "Replace v_porj by v_proj.", id="letters swapped"),
        pytest.param(["q_proj", "V_proj"], ["V_proj"], "Replace V_proj by v_proj.", id="a capital letter"),
        pytest.param(
            ["q_proj", "self_atn.vproj"], ["self_atn.vproj"], "Replace self_atn.vproj by v_proj.", id="dotted"
        ),
        pytest.param(["c_attn", "c_proj"], ["c_attn", "c_proj"], "Replace c_proj by ", id="GPT-2's names"),
        pytest.param(["q_proj", "query_key_value"], ["query_key_value"], f"Use some of {NAMES}", id="BLOOM's name"),
        pytest.param(["_proj"], ["_proj"], "by v_proj", id="the end of a name, but not after a dot"),
        pytest.param([".*q_proj"], [".*q_proj"], "Replace .*q_proj by q_proj.", id="a regex in a list is a name"),
        pytest.param("q_proj", ["q_proj"], "Write a list: target_modules: [q_proj].", id="a bare name is a regex"),
        pytest.param(r".*\.query", [r".*\.query"], f"Use some of {NAMES}", id="a regex that matches nothing"),
    ],
)
def test_a_name_that_matches_nothing(project, expect, targets, observed, fix):
    project.set(lora={"target_modules": targets})

    findings = expect("CFG-101", "failed")

    assert [finding["observed"] for finding in findings] == observed
    assert fix in findings[-1]["fix"]
    assert {finding["where"] for finding in findings} == {
        load_config(project.folder / "config.yaml").where("lora.target_modules")
    }
    assert all(finding["expected"] == f"some of {NAMES}" for finding in findings)  # and never lm_head


@pytest.mark.parametrize(
    "targets, message",
    [
        pytest.param([*ATTENTION, "lm_head"], "TRL trains no adapter on the output layer", id="lm_head"),
        pytest.param(".*(q_proj|lm_head)", "TRL trains no adapter on the output layer", id="lm_head by regex"),
        pytest.param(["q_proj", "self_attn"], "is not supported", id="a module that is no layer"),
        pytest.param(["norm"], "is not supported", id="a norm"),
    ],
)
def test_a_module_that_cannot_carry_an_adapter(project, expect, targets, message):
    (finding,) = project.set(lora={"target_modules": targets}) and expect("CFG-101", "failed")

    assert message in finding["message"]
    assert "\n" not in finding["message"]
    assert finding["fix"] == f"Set lora.target_modules to some of {NAMES}, or to all-linear."


def test_a_broken_regex_is_a_finding(project, expect):
    project.set(lora={"target_modules": "(q_proj"})

    assert expect("CFG-101", "failed")[0]["observed"] == "(q_proj"


@pytest.mark.parametrize(
    "targets, matched",
    [
        pytest.param(["q_proj"], {"q_proj": 2}, id="one name"),
        pytest.param(
            ["self_attn.q_proj", "mlp.up_proj"], {"mlp.up_proj": 2, "self_attn.q_proj": 2}, id="ends of names"
        ),
        pytest.param(["model.layers.1.mlp.up_proj"], {"model.layers.1.mlp.up_proj": 1}, id="a whole name"),
        pytest.param(["embed_tokens", "q_proj"], {"embed_tokens": 1, "q_proj": 2}, id="the embedding"),
        pytest.param(r".*\.(q|v)_proj", {r".*\.(q|v)_proj": 4}, id="a regex"),
        pytest.param(r"model\.layers\.0\..*_proj", {r"model\.layers\.0\..*_proj": 7}, id="a regex for one layer"),
        pytest.param("all-linear", {"all-linear": 14}, id="all-linear leaves lm_head out"),
        pytest.param("ALL-LINEAR", {"ALL-LINEAR": 14}, id="all-linear in capitals"),
        pytest.param(None, {}, id="null: peft chooses"),
    ],
)
def test_names_that_exist(project, targets, matched):
    run = project.set(lora={"target_modules": targets}).gate("-k", "CFG-101")

    assert run.outcome("CFG-101") == "passed", run.screen
    assert run.check("CFG-101")["evidence"]["matched"] == matched


@pytest.mark.parametrize(
    "lora",
    [
        pytest.param({"use_dora": True}, id="DoRA"),
        pytest.param({"use_rslora": True}, id="rsLoRA"),
        pytest.param({"modules_to_save": ["lm_head"]}, id="lm_head trained whole"),
        pytest.param({"layers_to_transform": [1]}, id="one layer"),
        pytest.param({"exclude_modules": ["k_proj"]}, id="an entry that is excluded again"),
    ],
)
def test_other_settings_of_the_adapter_are_no_fault(project, expect, lora):
    project.set(lora=lora)

    assert expect("CFG-101", "passed") == []


def test_a_name_left_out_by_layers_is_not_called_misspelt(project, expect):
    """The names are right; what is wrong is the layer, and the finding says so."""
    project.set(lora={"layers_to_transform": [7]})

    (finding,) = expect("CFG-101", "failed")

    assert "layers_to_transform" in finding["message"]


def test_full_fine_tuning_has_no_targets(project, expect):
    project.set(lora=None)

    assert expect("CFG-101", "not-applicable") == []


def test_a_model_without_config_is_not_judged(project, tmp_path):
    (tmp_path / "empty").mkdir()

    run = project.set(model={"name_or_path": "empty"}).gate("-k", "CFG-101")

    assert run.outcome("CFG-101") == "not-available"
    assert "no config.json" in run.check("CFG-101")["reason"]
    assert run.code == 1


EXPERTS = ["q_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.mark.parametrize(
    "model, lora, message, fix",
    [
        ("qwen3_moe", {"target_modules": EXPERTS, "lora_dropout": 0.1}, "lora_dropout", "Set lora.lora_dropout: 0;"),
        ("qwen3_moe", {"target_modules": EXPERTS, "use_dora": True}, "use_dora", "Set lora.use_dora: false;"),
        ("qwen3_moe", {"target_modules": ["q_proj", "up_proj"]}, "fused", "Add gate_proj to lora.target_modules."),
        (
            "qwen3",
            {"target_modules": ["q_proj"], "trainable_token_indices": [5]},
            "TRL trains no single tokens",
            "Remove lora.trainable_token_indices; to train these tokens, set lora.modules_to_save: [embed_tokens]",
        ),
        ("mamba", {"target_modules": ["x_proj", "out_proj"]}, "Mamba", "Leave '"),
        ("llama", {"target_modules": ["q_proj"], "lora_bias": True, "use_dora": True}, "DoRA", "Change the setting"),
    ],
)
def test_the_setting_that_stands_in_the_way_is_named(find, model, lora, message, fix):
    (finding,) = find(every_target_module_exists_in_the_model, model, lora=lora)

    assert message in finding.message
    assert finding.fix.startswith(fix)


@pytest.mark.parametrize(
    "model, lora",
    [
        ("qwen3_moe", {"target_modules": EXPERTS}),
        ("mixtral", {"target_modules": ["q_proj", "w1", "w2", "w3"]}),
        ("llama", {"target_modules": ["q_proj"], "trainable_token_indices": [5]}),
        ("gpt2", {"target_modules": ["c_attn"]}),
        ("gpt_oss", {"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj"]}),
        ("qwen2_vl", {"target_modules": "all-linear"}),
    ],
)
def test_names_of_other_architectures(find, model, lora):
    assert find(every_target_module_exists_in_the_model, model, lora=lora) == []

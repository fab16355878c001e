"""CFG-102: settings of the adapter that leave nothing to train."""

import pytest

from preflight.config import load_config


@pytest.mark.parametrize(
    "lora, key, fix",
    [
        pytest.param(
            {"layers_to_transform": [2]}, "lora.layers_to_transform", "layers 0 to 1", id="a layer that isn't there"
        ),
        pytest.param(
            {"layers_to_transform": [0], "layers_pattern": "blocks"},
            "lora.layers_to_transform",
            "layers 0 to 1",
            id="another architecture's pattern",
        ),
        pytest.param(
            {"exclude_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]},
            "lora.exclude_modules",
            "Correct lora.exclude_modules, or remove it.",
            id="all targets excluded",
        ),
        pytest.param(
            {"exclude_modules": ".*_proj"}, "lora.exclude_modules", "lora.exclude_modules", id="excluded by regex"
        ),
        pytest.param({"target_modules": ["c_attn"]}, "lora.target_modules", "q_proj, k_proj", id="foreign names"),
        pytest.param({"target_modules": []}, "lora.target_modules", "q_proj, k_proj", id="no names"),
    ],
)
def test_nothing_is_trained(project, lora, key, fix):
    run = project.set(lora=lora).gate("-k", "CFG-102")

    assert run.outcome("CFG-102") == "failed", run.screen
    (finding,) = run.findings("CFG-102")
    assert finding["where"] == load_config(project.folder / "config.yaml").where(key)
    assert fix in finding["fix"]
    assert "lm_head" not in finding["fix"]


# A layer of this model: q and o are 32 x 32, k and v 32 x 16. LoRA adds r x (in + out) to each.
LAYER = 16 * (64 + 64 + 48 + 48)


@pytest.mark.parametrize(
    "lora, trainable",
    [
        pytest.param({}, 2 * LAYER, id="plain"),
        pytest.param({"layers_to_transform": [1]}, LAYER, id="one layer"),
        pytest.param({"layers_to_transform": 0}, LAYER, id="one layer by number"),
        pytest.param({"exclude_modules": ["k_proj", "v_proj"]}, 2 * 16 * 128, id="some excluded"),
        pytest.param({"use_dora": True}, 2 * (LAYER + 32 + 32 + 16 + 16), id="DoRA: one magnitude an output"),
        pytest.param({"use_rslora": True}, 2 * LAYER, id="rsLoRA: the same"),
        pytest.param({"rank_pattern": {"q_proj": 4}}, 2 * (LAYER - 12 * 64), id="another rank for one"),
        pytest.param({"target_modules": [], "target_parameters": None, "modules_to_save": None}, None, id="none"),
    ],
)
def test_what_is_trained_is_counted(project, lora, trainable):
    run = project.set(lora=lora).gate("-k", "CFG-102")

    assert run.outcome("CFG-102") == ("passed" if trainable else "failed"), run.screen
    assert run.check("CFG-102")["evidence"]["trainable"] == (trainable or 0)


def test_full_fine_tuning_trains_everything(project):
    run = project.set(lora=None).gate("-k", "CFG-102")

    evidence = run.check("CFG-102")["evidence"]
    assert run.outcome("CFG-102") == "passed"
    assert evidence["trainable"] == evidence["parameters"] > 49152 * 32


def test_it_cannot_be_waived_or_lowered(project):
    waiver = {"code": "CFG-102", "reason": "trust me", "by": "me", "expires": "2999-01-01"}
    run = project.set(lora={"exclude_modules": ".*"}, gate={"waivers": [waiver]}).gate("-k", "CFG-102")
    assert run.outcome("CFG-102") == "failed"

    run = project.set(gate={"waivers": [], "severity": {"CFG-102": "advice"}}).gate("-k", "CFG-102")
    assert run.code == 4
    assert "CFG-102 can't be lowered" in run.screen

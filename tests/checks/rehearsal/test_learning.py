"""RUN-202, RUN-204, RUN-209 and RUN-210: a loss that falls, finite numbers, gradients everywhere, weights that move."""

import math
from dataclasses import replace

import pytest

from preflight.checks.rehearsal.finite import losses_and_gradients_are_finite
from preflight.checks.rehearsal.loss_falls import the_loss_of_a_repeated_batch_falls
from preflight.checks.rehearsal.matrices import gradients_reach_every_adapter_matrix
from preflight.checks.rehearsal.moves import what_is_trained_changes
from preflight.rehearsal.facts import Step

FALLS, FINITE, MATRICES, MOVES = (
    the_loss_of_a_repeated_batch_falls,  # RUN-202
    losses_and_gradients_are_finite,  # RUN-204
    gradients_reach_every_adapter_matrix,  # RUN-209
    what_is_trained_changes,  # RUN-210
)
MATRIX = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"
EXPERT = "base_model.model.model.layers.0.mlp.experts.3.up_proj.lora_A.default.weight"
SKIPPED = [Step("typical", 1.0, 3.0, True)]


@pytest.mark.parametrize(
    "check, facts, found",
    [
        pytest.param(FALLS, {}, 0, id="falls"),
        pytest.param(FALLS, {"trained": 2.9999}, 0, id="falls a little"),
        pytest.param(FALLS, {"trained": 3.0}, 1, id="stays"),
        pytest.param(FALLS, {"trained": 3.01}, 1, id="rises"),
        pytest.param(FALLS, {"trained": 3.01, "half": True}, 0, id="rises by rounding"),
        pytest.param(FALLS, {"trained": 3.1, "half": True}, 1, id="rises in 16 bits"),
        pytest.param(FALLS, {"fresh": 0.01, "trained": 0.02}, None, id="nothing left to fall"),
        pytest.param(FALLS, {"fresh": math.nan, "trained": math.nan}, None, id="no number"),
        pytest.param(FALLS, {"steps": SKIPPED, "trained": 3.0}, None, id="no step was taken"),
        pytest.param(FALLS, {"trained": None, "phase": "training"}, None, id="it ended before"),
        pytest.param(FINITE, {}, 0, id="finite"),
        pytest.param(FINITE, {"fresh": math.nan}, 1, id="NaN before the first step"),
        pytest.param(FINITE, {"steps": [Step("typical", 1.0, math.inf, False)]}, 1, id="infinite loss"),
        pytest.param(FINITE, {"evaluation": math.nan}, 1, id="NaN at evaluation"),
        pytest.param(FINITE, {"evaluation": 3.0}, 0, id="evaluated"),
        pytest.param(FINITE, {"not_finite": [MATRIX]}, 1, id="NaN gradients"),
        pytest.param(FINITE, {"steps": [*SKIPPED, Step("typical", 1.0, 2.9, False)]}, 0, id="a skipped step"),
        pytest.param(FINITE, {"steps": SKIPPED * 9}, 1, id="all steps skipped"),
        pytest.param(MATRICES, {}, 0, id="gradients everywhere"),
        pytest.param(MATRICES, {"silent": [MATRIX]}, 1, id="a matrix without a gradient"),
        pytest.param(MATRICES, {"silent": [MATRIX, EXPERT]}, 1, id="and an expert"),
        pytest.param(MATRICES, {"silent": [EXPERT]}, 0, id="an expert without a token"),
        pytest.param(MATRICES, {"silent": [MATRIX], "steps": SKIPPED}, None, id="no gradient could be seen"),
        pytest.param(MOVES, {}, 0, id="all move"),
        pytest.param(MOVES, {"unmoved": ["a", "b", "c"]}, 0, id="one moves"),
        pytest.param(MOVES, {"unmoved": ["a", "b", "c", "d"]}, 1, id="none moves"),
    ],
)
def test_what_is_said_of_facts(verdict, sound, check, facts, found):
    findings = verdict(check, sound(**facts))

    assert findings is None if found is None else len(findings) == found


@pytest.mark.parametrize("check", [FALLS, FINITE, MOVES])
def test_full_fine_tuning_is_judged_too(project, verdict, sound, check):
    project.set(lora=None)

    assert verdict(check, sound()) == []
    assert verdict(check, sound(fresh=math.nan, unmoved=["a", "b", "c", "d"])) != []
    assert verdict(MATRICES, sound(silent=["norm.weight"])) is None


def test_a_learning_rate_of_zero_moves_nothing(project, rehearsed, verdict):
    project.set(training={"learning_rate": 0.0})
    facts = rehearsed()
    (finding,) = verdict(MOVES, facts)

    assert finding.observed == "0 of 16 trained tensors changed, at a learning rate of 0"
    assert finding.fix == "Set training.learning_rate: 2.0e-4."
    assert len(verdict(FALLS, facts)) == 1
    assert verdict(FINITE, facts) == []


def test_nan_in_the_weights_is_found_before_the_first_step(model, rehearsed, verdict):
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(model / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][3, 3] = torch.nan
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    facts = rehearsed()
    (finding,) = verdict(FINITE, facts)

    assert "before the first step" in finding.message
    assert "damaged" in finding.fix
    assert facts.phase == "done"
    assert verdict(FALLS, facts) is None


def test_activations_that_fp16_cannot_hold_are_found(project, model, rehearsed, verdict):
    """What bf16 takes, and fp16 does not: values above 65504."""
    from safetensors.torch import load_file, save_file

    weights = load_file(model / "model.safetensors")
    weights["model.layers.0.mlp.down_proj.weight"] *= 1e4
    weights["model.layers.0.mlp.up_proj.weight"] *= 1e4
    save_file(weights, model / "model.safetensors", {"format": "pt"})

    project.set(model={"dtype": "bfloat16"})
    assert verdict(FINITE, rehearsed()) == []
    project.set(model={"dtype": "float16"})
    assert len(verdict(FINITE, rehearsed())) == 1


def test_an_adapter_on_layers_that_are_never_used_is_found(project, rehearsed, verdict, smollm2):
    """GPT-2 as a decoder has cross-attention, and text alone never goes through it."""
    import shutil

    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = project.folder / "model"
    torch.manual_seed(0)
    sizes = {"n_embd": 32, "n_layer": 1, "n_head": 2, "vocab_size": 49152, "n_positions": 256, "n_inner": 32}
    config = GPT2Config(**sizes, add_cross_attention=True, is_decoder=True, bos_token_id=1, eos_token_id=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(smollm2 / name, folder / name)
    project.set(model={"name_or_path": "model"}, lora={"target_modules": ["c_attn"]})
    facts = rehearsed()
    (finding,) = verdict(MATRICES, facts)

    assert finding.message.startswith("2 of 4 adapter tensors get no gradient: ")
    assert "crossattention.c_attn" in finding.message
    assert verdict(MOVES, facts) == []
    project.set(lora={"target_modules": ["attn.c_attn"], "exclude_modules": ".*crossattention.*"})
    assert verdict(MATRICES, rehearsed()) == []


@pytest.mark.parametrize(
    "sections",
    [
        pytest.param({}, id="lora"),
        pytest.param({"lora": {"use_dora": True}}, id="dora"),
        pytest.param({"lora": {"use_rslora": True, "target_modules": "all-linear"}}, id="rslora on all layers"),
        pytest.param({"lora": {"modules_to_save": ["lm_head", "embed_tokens"]}}, id="saved head and embedding, tied"),
        pytest.param({"model": {"dtype": "bfloat16"}}, id="bf16 weights"),
        pytest.param({"training": {"bf16": True}}, id="bf16 autocast"),
        pytest.param({"training": {"gradient_checkpointing": True}}, id="checkpointing"),
        pytest.param({"training": {"packing": True, "max_length": 128}}, id="packing"),
        pytest.param({"training": {"loss_type": "dft"}}, id="another loss"),
        pytest.param({"lora": None, "model": {"dtype": "bfloat16"}, "training": {"learning_rate": 2e-5}}, id="full 16"),
        pytest.param({"training": {"eval_strategy": "no"}}, id="not evaluated"),
        pytest.param({"training": {"gradient_accumulation_steps": 4}}, id="accumulation"),
        pytest.param({"data": {"format": "text"}, "training": {"assistant_only_loss": False}}, id="text"),
    ],
)
def test_sound_runs_are_left_alone(project, rehearsed, verdict, sections):
    from preflight.checks.rehearsal.accumulation import accumulated_gradients_are_those_of_one_batch
    from preflight.checks.rehearsal.base_stays import only_what_is_trained_changes
    from preflight.checks.rehearsal.padding import a_padded_row_is_what_it_is_alone
    from preflight.checks.rehearsal.reloads import a_saved_checkpoint_is_the_trained_model
    from preflight.checks.rehearsal.runs import the_run_starts_and_survives_its_longest_batch

    project.set(**sections)
    if "data" in sections:
        project.rows([{"text": f"The number {n} comes before {n + 1}. " * (1 + n % 3)} for n in range(20)])
        project.rows([{"text": f"The number {n} is large."} for n in range(900, 904)], "validation.jsonl")
    facts = rehearsed()

    assert facts.failure is None, facts.failure
    assert facts.phase == "done"
    assert None not in (facts.base, facts.fresh, facts.trained, facts.checkpoint, facts.memory)
    assert (facts.evaluation is not None) == (sections.get("training", {}).get("eval_strategy") != "no")
    for check in (
        *(FALLS, FINITE, MATRICES, MOVES),
        the_run_starts_and_survives_its_longest_batch,
        only_what_is_trained_changes,
        a_saved_checkpoint_is_the_trained_model,
        a_padded_row_is_what_it_is_alone,
        accumulated_gradients_are_those_of_one_batch,
    ):
        assert not verdict(check, facts), check.__name__


def test_the_batch_is_learned_and_the_longest_is_among_it(project, rehearsed):
    facts = rehearsed()

    assert [step.batch for step in facts.steps] == ["typical", "longest", "typical", "typical"]
    assert max(facts.longest.lengths) >= max(facts.typical.lengths)
    assert facts.trained < facts.fresh == facts.base
    assert replace(facts.checkpoint, size=0).difference == 0
    assert not list((project.folder / "run" / "preflight").glob(".rehearsal*"))

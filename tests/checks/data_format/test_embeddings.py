"""TOK-117, TOK-118: special tokens in the data have trained rows. TOK-119: every id has a row."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

EMBED = "model.embed_tokens.weight"
START, END = 1, 2  # <|im_start|> is read, <|im_end|> is learned


@pytest.fixture
def trained(model):
    """The model with an embedding like that of a trained one, its rows of different lengths; some of them are zero."""

    def place(*zeros, layer=EMBED):
        tensors = load_file(model / "model.safetensors")
        torch.manual_seed(1)
        shape = tensors[EMBED].shape
        weight = torch.randn(shape) * torch.rand(shape[0], 1).add(0.5) + 0.5
        tensors |= {EMBED: weight.clone(), layer: weight}
        weight[list(zeros)] = 0
        save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})

    return place


def test_an_untrained_token_that_is_learned_is_found_until_it_is_trained(project, trained, expect):
    trained(END)
    (finding,) = expect("TOK-117", "failed")

    assert finding["message"] == "<|im_end|> is learned, but never trained"
    assert finding["observed"] == "<|im_end|>: its length is 0% of the usual one (embed_tokens)"
    assert finding["fix"].endswith("lora.modules_to_save: [embed_tokens] and lora.ensure_weight_tying: true.")

    project.set(lora={"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True})  # what the finding names
    assert expect("TOK-117", "passed") == []


@pytest.fixture
def untied(model):
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))


def test_the_output_layer_counts_too(project, trained, expect, untied):
    trained(END, layer="lm_head.weight")
    (finding,) = expect("TOK-117", "failed")

    assert "(lm_head)" in finding["observed"]
    assert finding["fix"].endswith("set lora.modules_to_save: [lm_head].")

    project.set(lora={"trainable_token_indices": [END]})  # which is for the embedding alone
    assert len(expect("TOK-117", "failed")) == 1
    project.set(lora={"modules_to_save": ["lm_head"]})
    assert expect("TOK-117", "passed") == []


def test_single_rows_are_enough_where_the_embedding_is_not_tied(project, trained, expect, untied):
    trained(END)

    assert expect("TOK-117", "failed")[0]["fix"].endswith("set lora.trainable_token_indices: [2].")
    project.set(lora={"trainable_token_indices": [END]})
    assert expect("TOK-117", "passed") == []


def test_what_is_only_read_needs_no_output_row(trained, expect, untied):
    trained(START, layer="lm_head.weight")

    assert expect("TOK-118", "passed") == []


def test_an_untrained_token_that_is_read_is_found(project, trained):
    trained(START)
    run = project.gate("-k", "TOK-11")

    assert run.outcome("TOK-117") == "passed", run.screen
    assert run.findings("TOK-118")[0]["message"] == "<|im_start|> is read, but never trained"


def test_full_fine_tuning_trains_them(project, trained, expect):
    trained(END)
    project.set(lora=None, training={"learning_rate": 2e-5})

    assert expect("TOK-117", "passed") == []


def test_trained_rows_pass(project, trained):
    trained()
    run = project.gate("-k", "TOK-11")

    assert {run.outcome(code) for code in ("TOK-117", "TOK-118", "TOK-119")} == {"passed"}, run.screen


def test_a_random_model_and_the_real_one_pass(project, smollm2):
    """The first has a zero row for its pad token, the other many reserved tokens with one and the same row."""
    for name in (project.config["model"]["name_or_path"], str(smollm2)):
        run = project.set(model={"name_or_path": name}).gate("-k", "TOK-11")

        assert {run.outcome(code) for code in ("TOK-117", "TOK-118", "TOK-119")} == {"passed"}, run.screen


def added(folder, content, number):
    path = folder / "tokenizer.json"
    saved = json.loads(path.read_text())
    saved["added_tokens"].append({**saved["added_tokens"][0], "id": number, "content": content})
    path.write_text(json.dumps(saved))


ENDING = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + 'END<|im_end|>\n' }}{% endfor %}"
ENDING += "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"


def test_a_token_that_the_model_does_not_know_is_found(project, trained, expect, model):
    """The tokenizer of another folder has taken a free row for a token of its own."""
    shutil.copytree(model, project.folder / "words")
    path = project.folder / "words" / "tokenizer.json"
    path.write_text(path.read_text().replace("<empty_output>", "<answer_ends>"))
    trained()
    project.text(ENDING.replace("END", "<answer_ends>"), "template.jinja")
    project.set(model={"tokenizer": "words", "chat_template": "template.jinja"})
    (finding,) = expect("TOK-117", "failed")

    assert finding["observed"] == "<answer_ends>: the model's own tokenizer lacks it"


def test_ids_beyond_the_embedding_are_found_if_they_occur(project, model, expect):
    added(model, "<answer_ends>", 49152)
    assert expect("TOK-119", "passed") == []

    project.text(ENDING.replace("END", "<answer_ends>"), "template.jinja")
    project.set(model={"chat_template": "template.jinja"})
    (finding,) = expect("TOK-119", "failed")
    assert finding["observed"] == "<answer_ends>; highest id 49,152"
    assert "resize_token_embeddings(49153" in finding["fix"]

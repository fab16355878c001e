"""TOK-101: padding leaves every supervised token."""

import json
import shutil

import pytest

CODE = "TOK-101"


@pytest.fixture
def own(project, tiny):
    """The project with a copy of its model, to be changed."""
    shutil.copytree(tiny, project.folder / "model")
    return project.set(model={"name_or_path": "model"})


def edit(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("token", ["[PAD]", "two words"])
def test_a_pad_token_outside_the_vocabulary_is_found(project, expect, token):
    project.set(training={"pad_token": token})
    (finding,) = expect(CODE, "failed")

    assert finding["message"] == f"the pad token {token!r} is not in the vocabulary"
    assert finding["where"].startswith("config.yaml:")
    assert finding["fix"] == 'Set training.pad_token: "<|endoftext|>".'


def test_a_pad_token_without_an_embedding_is_found(own, expect):
    path = own.folder / "model" / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": 49152, "content": "<pad>"})
    path.write_text(json.dumps(tokenizer))
    own.set(training={"pad_token": "<pad>"})
    (finding,) = expect(CODE, "failed")

    assert finding["message"] == "the pad token '<pad>' has no embedding"
    assert finding["observed"] == "<pad> (id 49152)"
    assert finding["expected"].endswith("below 49152")


def test_no_pad_token_at_all_is_found(own, expect):
    edit(own.folder / "model" / "tokenizer_config.json", pad_token=None, eos_token=None)
    (finding,) = expect(CODE, "failed")

    assert finding["message"] == "there is no pad token"


def test_a_collator_that_ignores_pad_ids_would_be_found(project, expect, monkeypatch):
    from trl.trainer import sft_trainer

    class Masking(sft_trainer.DataCollatorForLanguageModeling):
        """What transformers' collator for language modelling does: every pad id is ignored."""

        def __call__(self, examples):
            batch = super().__call__(examples)
            batch["labels"][batch["input_ids"] == self.pad_token_id] = -100
            return batch

    monkeypatch.setattr(sft_trainer, "DataCollatorForLanguageModeling", Masking)
    findings = expect(CODE, "failed")

    assert findings[0]["where"] == "train.jsonl:1"
    assert "end-of-turn" in findings[0]["why"]
    assert findings[-1]["message"].startswith("… and ")


@pytest.mark.parametrize(
    "training", [{}, {"pad_token": "<|im_end|>"}, {"pad_token": "<|endoftext|>"}, {"pad_token": "the"}]
)
def test_a_pad_token_of_the_vocabulary_passes(project, expect, training):
    project.set(training=training)

    assert expect(CODE, "passed") == []


def test_eos_stands_in_for_a_missing_pad_token(own):
    edit(own.folder / "model" / "tokenizer_config.json", pad_token=None)
    run = own.gate("-k", CODE)

    assert run.outcome(CODE) == "passed", run.screen
    assert "(= EOS)" in run.check(CODE)["summary"]


def test_packed_rows_pass(project, expect):
    project.set(training={"packing": True})

    assert expect(CODE, "passed") == []

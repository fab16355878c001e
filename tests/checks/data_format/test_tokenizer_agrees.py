"""TOK-123: each special token is one id, and tokenizer.model gives the ids of tokenizer.json."""

import io
import json
import shutil

import pytest

CODE = "TOK-123"
TEMPLATE = "{% for m in messages %}{{ '<s>' + m.content + '</s>' }}{% endfor %}"


@pytest.fixture
def sentencepiece(project):
    """A SentencePiece model of the project's own text, and the same as a fast tokenizer."""
    import sentencepiece as spm
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    rows = [json.loads(line)["messages"] for line in (project.folder / "train.jsonl").read_text().splitlines()]
    said = [message["content"] for messages in rows for message in messages]

    def train(size):
        made = io.BytesIO()
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(said), model_writer=made, vocab_size=size, minloglevel=2, character_coverage=1.0
        )
        return made.getvalue()

    folder = project.folder / "pieces"
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes(train(120))
    pieces = spm.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    vocabulary = [(pieces.id_to_piece(n), pieces.get_score(n)) for n in range(pieces.get_piece_size())]
    fast = Tokenizer(models.Unigram(vocabulary, unk_id=pieces.unk_id()))
    fast.pre_tokenizer, fast.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    hf = PreTrainedTokenizerFast(tokenizer_object=fast, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    hf.save_pretrained(folder)
    project.text(TEMPLATE, "template.jinja")
    project.set(
        model={"tokenizer": "pieces", "chat_template": "template.jinja"}, training={"assistant_only_loss": False}
    )
    return folder, train


def test_a_sentencepiece_model_of_its_own_is_found(project, expect, sentencepiece):
    folder, train = sentencepiece
    run = project.gate("-k", CODE)

    assert run.outcome(CODE) == "passed", run.screen
    assert run.check(CODE)["evidence"]["compared"] == 400

    (folder / "tokenizer.model").write_bytes(train(90))
    (finding,) = expect(CODE, "warned")
    assert "tokenizer.model gives other ids" in finding["message"]
    assert finding["where"] == "train.jsonl:1"


@pytest.mark.parametrize(
    "content, summary",
    [(None, "no tokenizer.model to compare"), (b"YQ== 0\n", "is not SentencePiece's")],
    ids=["none", "of another kind"],
)
def test_a_folder_without_sentencepiece_passes(project, model, content, summary):
    if content:
        (model / "tokenizer.model").write_bytes(content)
    run = project.gate("-k", CODE)

    assert run.outcome(CODE) == "passed", run.screen
    assert summary in run.check(CODE)["summary"]


def test_without_the_library_it_says_how_to_get_it(project, model, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "sentencepiece" else find(name, *more)
    )
    shutil.copy(model / "config.json", model / "tokenizer.model")
    run = project.gate("-k", CODE)

    assert run.outcome(CODE) == "passed", run.screen
    assert "pip install 'finetune-preflight[sentencepiece]'" in run.check(CODE)["summary"]


def test_a_special_token_that_is_split_is_found(project, expect):
    """An EOS of the config that the vocabulary lacks."""
    project.set(training={"eos_token": "</s>"})
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == "the special token '</s>' is not one id"
    assert finding["observed"] == "['</', 's', '>']"

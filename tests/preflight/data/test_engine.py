"""Fast engines give the ids of tokenizers or aren't taken; tokens are found by the bytes behind their ids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

from preflight.config import load_config
from preflight.data import engine
from preflight.data.prepare import prepare
from preflight.model.tokenizer import load_tokenizer

TEXTS = [
    "Take 3 lamps, please!\n\n  def f(x):\n\treturn x",
    "<|im_start|>user\nÄpfel, 你好, Привет, مرحبا, 🪔👩‍🚀<|im_end|>\n",
    "a\u0301 e\u0301 \u212b \u200b \ufeff",
    "",
    "   ",
    "\x04\x1d lacking \U00040000",
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def byte_level(normalizer=None, pre_tokenizer=None, **special):
    """A byte-level tokenizer without merges: each byte is a token."""
    letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(letters, []))
    made.pre_tokenizer = pre_tokenizer or pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    if normalizer:
        made.normalizer = normalizer
    made.add_special_tokens([AddedToken("<|é|>", normalized=False, **special)])
    return made


@pytest.fixture(scope="module")
def smol(smollm2):
    return AutoTokenizer.from_pretrained(smollm2).backend_tokenizer


SPLIT = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
)


@pytest.mark.parametrize("made", [byte_level(), byte_level(pre_tokenizer=SPLIT), byte_level(normalizers.NFC()), None])
@pytest.mark.parametrize("text", [*TEXTS, "<|é|>x<|é|>"])
def test_lengths_add_up_to_the_places_of_tokens(smol, made, text):
    backend = made or smol
    lengths = engine.byte_lengths(backend)
    encoding = backend.encode(text, add_special_tokens=False)
    total = np.cumsum([0, *lengths[encoding.ids]])
    if total[-1] != len(text.encode()):  # a byte is lacking, or letters were composed
        assert (made is None and "\x04" in text) or (made is not None and made.normalizer and "\u0301" in text)
        return
    for start, (first, last) in zip(total, encoding.offsets, strict=False):
        assert len(text[:first].encode()) <= start < len(text[:last].encode())  # within its character


@settings(max_examples=200, deadline=None)
@given(text=TEXT)
def test_lengths_agree_with_decoding(smol, text):
    ids = smol.encode(text, add_special_tokens=False).ids
    whole = int(engine.byte_lengths(smol)[ids].sum()) == len(text.encode())

    assert not whole or smol.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(byte_level(pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True)), id="a space in front"),
        pytest.param(byte_level(pre_tokenizer=pre_tokenizers.Metaspace()), id="SentencePiece's space"),
        pytest.param(byte_level(normalizers.Lowercase()), id="lower case"),
        pytest.param(byte_level(rstrip=True), id="a special token that swallows space"),
        pytest.param(Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")), id="WordPiece"),
    ],
)
def test_tokenizers_that_change_text_have_no_byte_lengths(made):
    assert engine.byte_lengths(made) is None


@pytest.mark.parametrize("name", ["fastokens", "tokie"])
def test_a_fast_engine_is_taken_and_gives_the_same_ids(smol, name):
    pytest.importorskip(name)
    fast, truth = engine.choose(smol, name, TEXTS), engine.hf_engine(smol)

    assert fast.name.startswith(name)
    for texts in (TEXTS, TEXTS[:1], [], ["\x04"]):
        for one, other in zip(fast.encode(texts), truth.encode(texts), strict=True):
            assert one.tolist() == other.tolist()
            assert one.dtype == other.dtype


def wrong(backend):
    truth = engine.hf_engine(backend)

    (changed,) = backend.encode(" is").ids

    def encode(texts):
        ids, starts = truth.encode(texts)
        return np.where(ids == changed, 315, ids), starts

    return encode


def refusing(backend):
    raise ValueError("no such merges\nat all")


def failing(backend):
    truth = engine.hf_engine(backend)
    return lambda texts: 1 / 0 if any("late" in text for text in texts) else truth.encode(texts)


@pytest.mark.parametrize(
    "loader, note",
    [
        (wrong, "fastokens gives other ids than tokenizers, first for 'It is here.'"),
        (refusing, "fastokens can't read this tokenizer: no such merges"),
    ],
)
def test_an_engine_that_differs_is_not_taken_and_the_reason_is_said(smol, monkeypatch, loader, note):
    pytest.importorskip("fastokens")
    monkeypatch.setitem(engine.LOADERS, "fastokens", loader)
    chosen = engine.choose(smol, "fastokens", ["Other.", "It is here."])

    assert chosen.name.startswith("tokenizers")
    assert chosen.note == note
    assert note in str(chosen)


def test_an_engine_that_fails_later_is_helped_out(smol, monkeypatch):
    pytest.importorskip("fastokens")
    monkeypatch.setitem(engine.LOADERS, "fastokens", failing)
    chosen = engine.choose(smol, "fastokens", ["early"])

    assert chosen.encode(["late"])[0].tolist() == smol.encode("late", add_special_tokens=False).ids


def test_an_engine_that_is_not_installed_is_said_only_if_it_was_named(smol, monkeypatch):
    def missing(name):
        if name == "tokenizers":
            return "0"
        raise engine.metadata.PackageNotFoundError(name)

    version = engine.metadata.version
    monkeypatch.setattr(
        engine.metadata, "version", lambda name: version(name) if name == "tokenizers" else missing(name)
    )

    assert engine.choose(smol, "tokie", TEXTS).note == "tokie is not installed"
    assert engine.choose(smol, "auto", TEXTS).note == ""
    assert engine.choose(smol, "tokenizers", TEXTS).note == ""


@pytest.mark.parametrize("name", ["fastokens", "tokie"])
def test_prepared_data_is_the_same_whatever_engine_made_it(project, name):
    pytest.importorskip(name)
    rows = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": text + "."}]}
        for text in TEXTS
    ]
    project.rows(rows)
    made = []
    for wanted in ("tokenizers", name):
        config = load_config(project.set(data={"engine": wanted}).write())
        made.append(prepare(config, load_tokenizer(config)))
        made[-1].train.examples[:]

    assert made[1].engine.startswith(name)
    assert made[0].key != made[1].key

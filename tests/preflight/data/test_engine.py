"""Fast engines give the ids of tokenizers or aren't taken; tokens are found by the bytes behind their ids."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

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


WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def family(*splits, normalizer=None):
    """A tokenizer built as a family of models has it: what it splits words by, before bytes and merges."""
    made = Tokenizer(models.BPE())
    regex = not any(isinstance(split, pre_tokenizers.Split) for split in splits)
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)
    made.pre_tokenizer = pre_tokenizers.Sequence([*splits, last]) if splits else last
    made.decoder = decoders.ByteLevel()
    if normalizer:
        made.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False
    )
    made.train_from_iterator(TEXTS * 9, trainer)
    return made


SPECIAL = ["<|im_start|>", "<|im_end|>", "<｜User｜>"]
BY_WORDS = pre_tokenizers.Split(Regex(WORDS), "isolated")
BY_DIGITS = pre_tokenizers.Split(Regex(WORDS.replace("{1,3}", "")), "isolated")
CHINESE = pre_tokenizers.Split(Regex("[一-龥]+"), "isolated")
FAMILIES = {
    "GPT-2": family,
    "SmolLM2": lambda: family(pre_tokenizers.Digits(individual_digits=True)),
    "Llama 3": lambda: family(BY_WORDS),
    "Qwen": lambda: family(BY_DIGITS, normalizer=normalizers.NFC()),
    "DeepSeek": lambda: family(CHINESE, BY_WORDS, normalizer=normalizers.Sequence([])),
    "bytes alone": byte_level,
}


@pytest.fixture(scope="module", params=[*FAMILIES, "the embedded model"])
def backend(request, smollm2):
    if request.param in FAMILIES:
        return FAMILIES[request.param]()
    return AutoTokenizer.from_pretrained(smollm2).backend_tokenizer


@pytest.fixture(scope="module")
def smol(smollm2):
    return AutoTokenizer.from_pretrained(smollm2).backend_tokenizer


@pytest.fixture(scope="module")
def lengths(backend):
    return engine.byte_lengths(backend)


BYTES = {letter: byte for byte, letter in bytes_to_unicode().items()}


def spelled(backend, number):
    """The bytes that a token stands for."""
    token = backend.id_to_token(number)
    return token.encode() if token in {*SPECIAL, "<|é|>"} else bytes(BYTES[letter] for letter in token)


def places(backend, lengths, text):
    """Each token's bytes beside the part of the text where its length puts it; None if the lengths don't add up."""
    ids = backend.encode(text, add_special_tokens=False).ids
    ends, raw = np.cumsum(lengths[ids]), text.encode()
    if not ids or ends[-1] != len(raw):
        return None
    cut = [raw[end - length : end] for end, length in zip(ends, lengths[ids], strict=True)]
    return [spelled(backend, number) for number in ids], cut


@pytest.mark.parametrize("text", [*TEXTS, "<|im_end|><|im_start|>\n<｜User｜> <|é|>x<|é|>"])
def test_lengths_put_each_token_where_it_stands(backend, lengths, text):
    found = places(backend, lengths, text)

    if found is None:
        lacks_bytes = backend.token_to_id(bytes_to_unicode()[4]) is None
        assert text == "" or (lacks_bytes and "\x04" in text) or (backend.normalizer and "\u0301" in text)
    else:
        assert found[0] == found[1]


@settings(max_examples=100, deadline=None)
@given(text=TEXT)
def test_lengths_that_add_up_are_those_of_the_text(backend, lengths, text):
    found = places(backend, lengths, text)

    assert found is None or found[0] == found[1] or not unicodedata.is_normalized("NFC", text)


def test_letters_that_are_composed_can_add_up_by_chance():
    """So whoever goes by the sum has to ask whether the text is composed, too."""
    made = byte_level(normalizers.NFC())
    longer, shorter = "\u09dc", "\u09c7\u09be"  # by three bytes
    one, other = places(made, engine.byte_lengths(made), longer + " and " + shorter)

    assert one != other


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(byte_level(pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True)), id="a space in front"),
        pytest.param(byte_level(pre_tokenizer=pre_tokenizers.Metaspace()), id="SentencePiece's space"),
        pytest.param(byte_level(normalizers.NFKC()), id="letters replaced by like ones"),
        pytest.param(byte_level(normalizers.Lowercase()), id="lower case"),
        pytest.param(byte_level(rstrip=True), id="a special token that swallows the space behind it"),
        pytest.param(byte_level(lstrip=True), id="a special token that swallows the space before it"),
        pytest.param(Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")), id="WordPiece"),
    ],
)
def test_tokenizers_that_change_text_have_no_byte_lengths(made):
    assert engine.byte_lengths(made) is None


@pytest.mark.parametrize("name", ["fastokens", "tokie"])
def test_a_fast_engine_is_taken_and_gives_the_same_ids(backend, name):
    pytest.importorskip(name)
    fast, truth = engine.choose(backend, name, TEXTS), engine.hf_engine(backend)

    # tokie takes signs such as 🅰 for letters, which costs it some vocabularies.
    assert fast.name.startswith(name) or (name == "tokie" and "gives other ids" in fast.note)
    for texts in (TEXTS, TEXTS[:1], [], ["\x04"]):
        for one, other in zip(fast.encode(texts), truth.encode(texts), strict=True):
            assert one.tolist() == other.tolist()
            assert one.dtype == other.dtype


def wrong(text):
    """An engine that gives another id for a token."""

    def load(backend):
        truth = engine.hf_engine(backend)
        changed = backend.encode(text).ids[-1]

        def encode(texts):
            ids, starts = truth.encode(texts)
            return np.where(ids == changed, 315, ids), starts

        return encode

    return load


def refusing(backend):
    raise ValueError("no such merges\nat all")


class Panic(BaseException):
    """What a panic in Rust is to Python: no Exception."""


def panicking(backend):
    raise Panic("index out of bounds")


def failing(error):
    def load(backend):
        truth = engine.hf_engine(backend)

        def encode(texts):
            if any("late" in text for text in texts):
                raise error
            return truth.encode(texts)

        return encode

    return load


@pytest.mark.parametrize(
    "loader, note",
    [
        (wrong(" is"), "fastokens gives other ids than tokenizers, first for 'It is here.'"),
        (refusing, "fastokens can't read this tokenizer: no such merges"),
        (panicking, "fastokens can't read this tokenizer: index out of bounds"),
        (wrong("¡"), "fastokens gives other ids than tokenizers, first for '¡"),  # which the run's first rows lack
    ],
)
def test_an_engine_that_differs_is_not_taken_and_the_reason_is_said(smol, monkeypatch, loader, note):
    pytest.importorskip("fastokens")
    monkeypatch.setitem(engine.LOADERS, "fastokens", loader)
    chosen = engine.choose(smol, "fastokens", ["Other.", "It is here."])

    assert chosen.name.startswith("tokenizers")
    assert chosen.note.startswith(note)
    assert note in str(chosen)


@pytest.mark.parametrize("error", [ValueError("no such byte"), Panic("index out of bounds")])
def test_an_engine_that_fails_later_is_helped_out(smol, monkeypatch, error):
    pytest.importorskip("fastokens")
    monkeypatch.setitem(engine.LOADERS, "fastokens", failing(error))
    chosen = engine.choose(smol, "fastokens", ["early"])

    assert chosen.name.startswith("fastokens")
    assert chosen.encode(["late"])[0].tolist() == smol.encode("late", add_special_tokens=False).ids


def test_an_engine_can_be_interrupted(smol, monkeypatch):
    pytest.importorskip("fastokens")
    monkeypatch.setitem(engine.LOADERS, "fastokens", failing(KeyboardInterrupt()))
    chosen = engine.choose(smol, "fastokens", ["early"])

    with pytest.raises(KeyboardInterrupt):
        chosen.encode(["late"])


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
    made, fed = [], []
    for wanted in ("tokenizers", name):
        config = load_config(project.set(data={"engine": wanted}).write())
        made.append(prepare(config, load_tokenizer(config)))
        fed.append(made[-1].train.examples[:])

    assert made[1].engine.startswith(name)
    assert made[0].key != made[1].key
    assert fed[0] == fed[1]

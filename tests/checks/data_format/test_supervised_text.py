"""TOK-103: what is learned decodes to exactly the answers."""

import json

import pytest

CODE = "TOK-103"
ASCII = [chr(code) for code in range(32, 127)]
CHATML = "{% for m in messages %}{{ '<s>' + m.role + ': ' + m.content + '</s>' }}{% endfor %}"
GLUED = CHATML.replace("': '", "' '")
PROMPT = "{% if add_generation_prompt %}{{ '<s>assistant: ' }}{% endif %}"


def letters(folder, words=(), normalizer=None, prepend=False):
    """A tokenizer of single ASCII letters and some words: what it lacks becomes <unk>."""
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: index for index, token in enumerate(["<unk>", "<s>", "</s>", *ASCII, "\u2581", "é", "\n"])}
    merges = []
    for word in words:  # each word is merged letter by letter
        for stop in range(2, len(word) + 1):
            merges.append((word[: stop - 1], word[stop - 1]))
            vocabulary.setdefault(word[:stop], len(vocabulary))
    made = Tokenizer(BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True))
    made.decoder = decoders.Fuse()
    if prepend:  # as Llama 2 and Mistral do: a space before each stretch of text, also behind a special token
        made.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
        made.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    else:
        made.pre_tokenizer = pre_tokenizers.Split("\u0000", "isolated")
    if normalizer:
        made.normalizer = getattr(normalizers, normalizer)()
    hf = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    hf.save_pretrained(folder)


def chat(answer):
    return {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": answer}]}


@pytest.fixture
def spelled(project):
    """Answers with a tokenizer of letters and a template: `spelled(answers, words=…)`."""

    def place(answers, template=CHATML, **more):
        letters(project.folder / "letters", **more)
        project.text(template + PROMPT, "template.jinja")
        project.rows([chat(answer) for answer in answers])
        return project.set(model={"tokenizer": "letters", "chat_template": "template.jinja"})

    return place


@pytest.mark.parametrize(
    "answers, observed, options",
    [
        pytest.param(["It is 5 €."], "It is 5 <unk>.</s>", {}, id="a character that the vocabulary lacks"),
        pytest.param(["ok", "你好 ok"], "<unk> ok</s>", {}, id="a script that the vocabulary lacks"),
        pytest.param(["ok", "ﬁne ²"], "fine 2</s>", {"normalizer": "NFKC"}, id="a normaliser that changes letters"),
        pytest.param(["Yes"], "yes</s>", {"normalizer": "Lowercase"}, id="a tokenizer without capitals"),
    ],
)
def test_text_that_becomes_another_is_found(spelled, expect, answers, observed, options):
    spelled(answers, **options)
    finding = expect(CODE, "failed")[0]

    assert finding["observed"] == repr(observed)
    assert finding["where"] == f"train.jsonl:{len(answers)}"
    assert finding["fix"].startswith("Replace the characters")


def test_a_header_that_merges_with_the_answer_is_found(spelled, expect):
    """`assistants`: the first letter of the answer is one token with the header, which the prompt doesn't end in."""
    template = CHATML.replace("': '", "''")
    spelled(["seven", "so"], template, words=["assistants"]).text(template + PROMPT.replace(": ", ""), "template.jinja")
    finding = expect(CODE, "failed")[0]

    assert finding["observed"] == repr("assistantseven</s>")
    assert "end the template's assistant header with a line break" in finding["fix"]


@pytest.mark.parametrize(
    "answers, options, only",
    [
        pytest.param(["caf\u00e9", "cafe\u0301"], {"normalizer": "NFC"}, True, id="accents that are composed"),
        pytest.param(["It is 5.", " Two  spaces "], {"prepend": True}, True, id="a space behind special tokens"),
        pytest.param(["It is 5.", " Two  spaces "], {"prepend": True}, False, id="the same, everything learned"),
        pytest.param(["It is </s> 5.", ""], {}, True, id="a special token inside an answer, and an empty one"),
    ],
)
def test_text_that_stays_the_same_passes(spelled, expect, answers, options, only):
    spelled(answers, **options).set(training={"assistant_only_loss": only})

    assert expect(CODE, "passed") == []


def test_everything_passes_through_bytes(project, expect):
    odd = [
        "🪔 👩‍👩‍👧 🇨🇭",
        "你好，世界",
        "שלום",
        "a\u0000b",
        "\t x \n\n",
        "é e\u0301",
        "<|im_end|>",
        "𝕏",
        "\u200b",
        "  ",
    ]
    project.rows([chat(text) for text in odd])

    assert expect(CODE, "passed") == []


def test_a_space_that_merges_with_the_header_passes(project, expect):
    """`A: ` and `yes`: the space goes into the first token of the completion, as in TRL."""
    project.rows([{"prompt": "Q: Is it?\nA: ", "completion": "yes"}] * 3)

    assert expect(CODE, "passed") == []


@pytest.mark.parametrize("wrong, outcome", [(3, "passed"), (4, "failed")])
def test_half_a_percent_may_differ(spelled, expect, wrong, outcome):
    spelled(["€"] * wrong + [f"No. {number}" for number in range(600 - wrong)])

    assert len(expect(CODE, outcome)) == (0 if outcome == "passed" else wrong)


def test_the_rust_tokenizer_has_no_leftovers(project, expect, tiny):
    """A tokenizer.json with the truncation and padding of an earlier run, and offsets without spaces."""
    import shutil

    shutil.copytree(tiny, project.folder / "model")
    path = project.folder / "model" / "tokenizer.json"
    saved = json.loads(path.read_text())
    saved["truncation"] = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    saved["padding"] = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 2}
    saved["padding"] |= {"pad_type_id": 0, "pad_token": "<|im_end|>"}
    trimmed = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    saved["post_processor"] = {"type": "Sequence", "processors": [trimmed, saved["post_processor"]]}
    path.write_text(json.dumps(saved))
    project.rows([chat("def f():\n        if x:\n                return    1"), chat("short")])
    run = project.set(model={"name_or_path": "model"}).gate("-k", "TOK")

    assert {code: run.outcome(code) for code in (CODE, "TOK-102")} == {CODE: "passed", "TOK-102": "passed"}, run.screen

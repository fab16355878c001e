"""Labels against TRL's own preparation, token by token, wherever TRL can do the same."""

import copy
import json
import re
from types import SimpleNamespace

import pytest
from datasets import Dataset
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import normalizers

from preflight.config import load_config
from preflight.data import label, shapes
from preflight.data.prepare import prepare
from preflight.data.render import Rules
from preflight.model.tokenizer import Tokenizer, load_tokenizer

IGNORE = label.IGNORE
OPEN = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}"
CLOSE = "{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
PROMPT = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
MARKED = f"{OPEN}{{% generation %}}{{{{ m.content + '<|im_end|>' }}}}{{% endgeneration %}}{CLOSE}{PROMPT}"
UNMARKED = MARKED.replace("{% generation %}", "").replace("{% endgeneration %}", "")


def turn(role, content):
    return {"role": role, "content": content}


USER, ANSWER = (
    turn("user", "How do I clean a lamp?"),
    turn("assistant", "Unplug it first.\n\n  Then wipe it. 🪔 é 你好"),
)
AGAIN, MORE = turn("user", "And a kettle?"), turn("assistant", "  With vinegar: end |im_end| <b>")
SYSTEM = turn("system", "Be brief.")
LONG = turn("assistant", " ".join(str(number) for number in range(300)))

CHATS = [
    {"messages": [USER, ANSWER]},
    {"messages": [SYSTEM, USER, ANSWER, AGAIN, MORE]},
    {"messages": [USER, LONG]},
    {"messages": [USER, turn("assistant", "x")]},
]
PAIRS = [
    {"prompt": [USER], "completion": [ANSWER]},
    {"prompt": [SYSTEM, USER, ANSWER, AGAIN], "completion": [MORE]},
]
TWO_ANSWERS = [{"prompt": [USER, ANSWER, AGAIN], "completion": [MORE, USER, ANSWER]}]
PLAIN_PAIRS = [
    {"prompt": "Q: two and two?\nA:", "completion": " four"},
    {"prompt": "Q: two and two?\nA: ", "completion": "four"},  # " four" is one token, which begins in the prompt
    {"prompt": "A whole wor", "completion": "ld of words<|im_end|>"},
    {"prompt": "", "completion": "Nothing was asked."},
]
TEXTS = [{"text": "Once upon a time."}, {"text": "  The end.<|im_end|>"}, {"text": "你好 🪔\n"}]
SHORT = {"max_length": 40}


def prepared_by_trl(tiny, folder, rows, template, training):
    """The rows as TRL prepares them: the train_dataset of a real SFTTrainer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    if template:
        tokenizer.chat_template = template
    arguments = SFTConfig(str(folder / "trl"), report_to="none", use_cpu=True, bf16=False, **training)
    model = AutoModelForCausalLM.from_pretrained(tiny)
    data = Dataset.from_list(rows)
    return list(SFTTrainer(model, arguments, train_dataset=data, processing_class=tokenizer).train_dataset)


def prepared_by_us(project, rows, template, training):
    project.rows(rows)
    if template:
        project.text(template, "template.jinja")
        project.set(model={"chat_template": "template.jinja"})
    project.config["training"] = {"output_dir": "run", **training}
    config = load_config(project.write())
    return prepare(config, load_tokenizer(config)).train


def ending_at_stop(labels, stop=2):
    """TRL's labels of a completion without what its template puts behind the end of the turn."""
    last = len(labels) - labels[::-1].index(stop)
    return labels[:last] + [IGNORE] * (len(labels) - last)


ONLY = {"assistant_only_loss": True}
END = {"truncation_mode": "keep_end"}
CASES = [
    #            rows         template  settings                                       like TRL's but for the line break
    pytest.param(CHATS, None, {"max_length": None}, False, id="messages: everything"),
    pytest.param(CHATS, None, SHORT, False, id="messages: everything, cut"),
    pytest.param(CHATS, None, {**SHORT, **END}, False, id="messages: everything, cut at the start"),
    pytest.param(CHATS, MARKED, ONLY, False, id="messages: marked turns"),
    pytest.param(CHATS, MARKED, {**ONLY, **SHORT}, False, id="messages: marked turns, cut"),
    pytest.param(CHATS, MARKED, {**ONLY, **SHORT, **END}, False, id="messages: marked turns, cut at the start"),
    pytest.param(PAIRS, None, {}, True, id="chat completion: by default"),
    pytest.param(PAIRS, None, {"completion_only_loss": True}, True, id="chat completion: asked for"),
    pytest.param(PAIRS, None, {"completion_only_loss": False}, False, id="chat completion: everything"),
    pytest.param(PAIRS, MARKED, ONLY, False, id="chat completion: marked turns of it"),
    pytest.param(TWO_ANSWERS, MARKED, ONLY, False, id="chat completion: two marked turns of it"),
    pytest.param(PAIRS, MARKED, {**ONLY, "completion_only_loss": False}, False, id="chat completion: all marked turns"),
    pytest.param(PLAIN_PAIRS, None, {}, False, id="plain completion: by default"),
    pytest.param(PLAIN_PAIRS, None, {"completion_only_loss": True}, False, id="plain completion: asked for"),
    pytest.param(PLAIN_PAIRS, None, {"completion_only_loss": False}, False, id="plain completion: everything"),
    pytest.param(TEXTS, None, {}, False, id="text"),
    pytest.param([{"body": "Hello."}], None, {"dataset_text_field": "body"}, False, id="text in another column"),
]


@pytest.mark.parametrize("rows, template, training, line_break", CASES)
def test_ids_and_labels_equal_trls(project, tiny, rows, template, training, line_break):
    theirs = prepared_by_trl(tiny, project.folder, rows, template, training)
    ours = list(prepared_by_us(project, rows, template, training).examples)

    assert [row["input_ids"] for row in ours] == [row["input_ids"] for row in theirs]
    for row, expected in zip(ours, theirs, strict=True):
        assert row["labels"] == (ending_at_stop(expected["labels"]) if line_break else expected["labels"])


@pytest.mark.parametrize("strategy", ["bfd", "bfd_split", "wrapped"])
@pytest.mark.parametrize("rows", [CHATS * 5, TEXTS * 5], ids=["messages", "text"])
def test_packed_rows_equal_trls(project, tiny, rows, strategy):
    training = {"packing": True, "packing_strategy": strategy, "max_length": 64}
    theirs = prepared_by_trl(tiny, project.folder, rows, None, training)
    ours = prepared_by_us(project, rows, None, training)

    assert list(ours.dataset) == theirs
    assert len(ours.examples) == len(rows)
    assert not list(ours.folder.glob("cache-*"))


def test_rows_are_shuffled_before_packing_as_trl_does(project, tiny):
    training = {"packing": True, "packing_strategy": "wrapped", "max_length": 64, "shuffle_dataset": True, "seed": 7}
    theirs = prepared_by_trl(tiny, project.folder, CHATS * 5, None, training)
    ours = prepared_by_us(project, CHATS * 5, None, training).dataset.shuffle(seed=7)

    assert list(ours) == theirs


@pytest.mark.parametrize("rows", [CHATS, PAIRS, TWO_ANSWERS], ids=["messages", "chat completion", "two answers"])
def test_turns_found_without_markers_are_the_marked_ones(project, rows):
    marked = list(prepared_by_us(project, rows, MARKED, ONLY).examples)
    found = prepared_by_us(project, rows, UNMARKED, ONLY)

    assert list(found.examples) == marked
    assert found.profile["ends_turn"].all()
    assert found.profile["matches"].all()
    assert found.profile["prefix_ok"].all()


def test_chat_template_kwargs_reach_the_template(project, tiny):
    template = UNMARKED.replace("{% for m", "{% if brief %}Be brief.{% endif %}{% for m", 1)
    rows = [{"messages": [USER, ANSWER], "chat_template_kwargs": {"brief": True}}]
    theirs = prepared_by_trl(tiny, project.folder, rows, template, {})
    ours = list(prepared_by_us(project, rows, template, {}).examples)

    assert ours[0]["input_ids"] == theirs[0]["input_ids"]


# --- any text ---------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    ["", " ", "<|im_end|>", "a<|im_start|>assistant\nb", "end", "im", "\n", "é", "e\u0301", "\x00", "assistant", "|>"]
)
TURNS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3)


def without_space(text):
    """Space in front of an answer may be one token with the line break of its header."""
    return "".join(text.split())


@pytest.fixture(scope="module")
def tokenizer(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "config.yaml"
    model, training = {"name_or_path": str(tiny)}, {"output_dir": "run"}
    path.write_text(json.dumps({"model": model, "data": {"train": "none.jsonl"}, "training": training}))
    return load_tokenizer(load_config(path))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(turns=TURNS, only=st.booleans(), cut=st.none() | st.integers(1, 80), end=st.booleans())
@example(turns=[("hi", "end")], only=True, cut=None, end=False)
@example(turns=[("x<|im_end|>\n<|im_start|>assistant\n", "x"), ("", "")], only=True, cut=None, end=False)
def test_learned_is_the_content_and_its_end_or_the_profile_says_so(tokenizer, turns, only, cut, end):
    messages = [turn(role, text) for pair in turns for role, text in zip(("user", "assistant"), pair, strict=True)]
    rules = Rules(only, None, cut, "keep_end" if end else "keep_start")
    whole = label.one(shapes.normalise({"messages": messages}, "messages"), tokenizer, rules)
    done = whole.cut(rules)

    assert len(done.ids) == len(done.labels) == min(len(whole.ids), cut or len(whole.ids))
    assert ((done.labels == done.ids) | (done.labels == IGNORE)).all()
    if only and cut is None:
        learned = tokenizer.hf.decode(done.labels[done.labels != IGNORE])
        wanted = "".join(answer + "<|im_end|>" for _, answer in turns)
        assert without_space(learned) == without_space(wanted) or not done.matches
        assert done.ends


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3), learn_all=st.booleans())
def test_plain_completions_are_learned_to_their_end(tokenizer, rows, learn_all):
    rules = Rules(completion_only_loss=False if learn_all else None)
    for prompt, completion in rows:
        example = shapes.normalise({"prompt": prompt, "completion": completion}, "prompt-completion")
        done = label.one(example, tokenizer, rules)
        learned = tokenizer.hf.decode(done.labels[done.labels != IGNORE])
        whole = prompt + completion if completion.endswith("<|im_end|>") else prompt + completion + "<|im_end|>"
        wanted = whole if learn_all else whole[len(prompt) :]
        assert without_space(learned) == without_space(wanted) or not done.matches
        assert done.ends


def test_a_pair_of_texts_is_alike_whatever_its_accents_are_made_of():
    special = SimpleNamespace(special=re.compile(r"<s>"))

    assert label._alike("<s> hé", "<s>he\u0301", special)
    assert not label._alike("hé", "he", special)


def test_letters_that_nfc_makes_longer_and_shorter_move_no_label(tokenizer):
    """One letter grows by three bytes and another shrinks by three: the text's size says nothing."""
    hf = copy.deepcopy(tokenizer.hf)
    hf.backend_tokenizer.normalizer = normalizers.NFC()
    composing = Tokenizer(hf, tokenizer.template, tokenizer.stop_ids)
    example = shapes.normalise({"prompt": "\u09dc question|", "completion": "answer \u09c7\u09be"}, "prompt-completion")
    done = label.one(example, composing, Rules())

    assert composing.byte_lengths is not None
    assert hf.decode(done.labels[done.labels != IGNORE]).startswith("answer")

"""What is marked on the page is what the loss counts, for every kind of example."""

import json
from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing

from preflight.config import load_config
from preflight.data import store
from preflight.data.label import IGNORE
from preflight.data.prepare import prepare
from preflight.data.shapes import normalise
from preflight.model.tokenizer import load_tokenizer
from preflight.review.view import OTHERWISE, view

SOUND = {"role": "user", "content": "Is 91 prime?"}
ANSWER = {"role": "assistant", "content": "No: 7 times 13."}
CHAT = {"messages": [{"role": "system", "content": "Be brief."}, SOUND, ANSWER, SOUND, ANSWER]}
CALL = {"type": "function", "function": {"name": "look_up", "arguments": {"word": "vole"}}}
TOOL = {"type": "function", "function": {"name": "look_up", "description": "A dictionary.", "parameters": {}}}
TOOLS = {
    "tools": [TOOL],
    "messages": [
        {"role": "user", "content": "What is a vole?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "a small rodent"},
        {"role": "assistant", "content": "A small rodent."},
    ],
}
THOUGHT = {
    "messages": [
        SOUND,
        {**ANSWER, "reasoning_content": "7 times 13 is 91."},
        {"role": "user", "content": "And 97?"},
        {"role": "assistant", "content": "Yes.", "reasoning_content": "No prime up to 9 divides it."},
    ]
}
CODE = {"messages": [SOUND, {"role": "assistant", "content": "So:\n```python\n91 % 7\n```\nwhich is 0."}]}
HEBREW = {
    "messages": [{"role": "user", "content": "האם 91 ראשוני? 🗼"}, {"role": "assistant", "content": "לא: 7 כפול 13."}]
}
TEMPLATE = """{%- if tools %}{{ '<|im_start|>system\n' + (tools | tojson) + '<|im_end|>\n' }}{% endif -%}
{%- for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}{% if message.role == 'assistant' %}
{%- generation %}{% if message.reasoning_content and loop.last %}{{ '<think>' + message.reasoning_content }}
{{- '</think>\n' }}{% endif %}{{ message.content }}
{%- for call in message.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}
{{- '<|im_end|>' }}{% endgeneration %}{% else %}{{ message.content + '<|im_end|>' }}{% endif %}{{ '\n' }}
{%- endfor %}"""


@pytest.fixture
def look(project):
    """See a row as the page shows it, with the prepared ids that it was made from."""

    def at(row: dict[str, Any], template: str = TEMPLATE, **training: Any) -> tuple[Any, dict[str, Any], Any]:
        project.text(template, "template.jinja")
        project.rows([row])
        project.set(model={"chat_template": "template.jinja"}, training=training)
        config = load_config(project.write())
        tokenizer = load_tokenizer(config)
        split = prepare(config, tokenizer).train
        prepared, (facts,) = split.examples[0], split.profile.to_dict("records")
        example = normalise(row, "auto")
        return view(example, prepared, facts, tokenizer, store.rules_of(config)), prepared, tokenizer

    return at


def text_of(shown, which=lambda piece: True):
    return "".join(piece.text for piece in shown if which(piece))


ROWS = [
    pytest.param(CHAT, id="chat"),
    pytest.param(TOOLS, id="tools"),
    pytest.param(THOUGHT, id="reasoning"),
    pytest.param(CODE, id="code"),
    pytest.param(HEBREW, id="right to left"),
    pytest.param({"prompt": "Is it?", "completion": " It is."}, id="prompt and completion"),
    pytest.param({"text": "Once upon a time."}, id="text"),
    pytest.param({"instruction": "Is it?", "output": "It is."}, id="alpaca"),
    pytest.param({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, id="sharegpt"),
]


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("training", [{}, {"max_length": 9}, {"max_length": 9, "truncation_mode": "keep_end"},
                                      {"assistant_only_loss": False}])  # fmt: skip
def test_what_is_marked_is_what_is_learned(look, row, training):
    if "text" in row or "prompt" in row:
        training = {"assistant_only_loss": False} | training
    seen, prepared, tokenizer = look(row, **training)
    shown = [piece for turn in seen.turns for piece in turn.shown] if not seen.read else seen.read

    learned = [token for token in prepared["labels"] if token != IGNORE]
    assert text_of(shown, lambda piece: piece.supervised) == tokenizer.backend.decode(
        learned, skip_special_tokens=False
    )
    kept = text_of(shown, lambda piece: not piece.cut)
    assert kept == tokenizer.backend.decode(prepared["input_ids"], skip_special_tokens=False)
    assert all(tokenizer.special.fullmatch(piece.text) for piece in shown if piece.special)


def parts(turn):
    """The text of a turn by its parts, in order; special tokens stand in the frame."""
    found = []
    for piece in turn.shown:
        if found and found[-1][0] == piece.part:
            found[-1] = (piece.part, found[-1][1] + piece.text)
        else:
            found.append((piece.part, piece.text))
    return found


def test_turns_stand_under_their_roles_with_what_the_template_adds_apart(look):
    seen, _, _ = look(CHAT)

    assert [turn.role for turn in seen.turns] == ["system", "user", "assistant", "user", "assistant"]
    assert parts(seen.turns[2]) == [
        ("frame", "<|im_start|>assistant\n"),
        ("said", "No: 7 times 13."),
        ("frame", "<|im_end|>\n"),
    ]
    assert seen.notes == ()


def test_tools_and_calls_are_shown(look):
    seen, _, _ = look(TOOLS)

    assert seen.tools == ("look_up",)
    assert json.loads(seen.declared) == [TOOL]
    assert [turn.role for turn in seen.turns] == ["user", "assistant", "tool", "assistant"]
    assert parts(seen.turns[1])[1][1].startswith('{"name": "look_up", "arguments": {"word": "vole"}}<|im_end|>')
    assert '"description": "A dictionary."' in parts(seen.turns[0])[0][1]


def test_reasoning_is_told_from_the_answer_and_missed_where_the_template_drops_it(look):
    seen, _, _ = look(THOUGHT)

    assert [turn.role for turn in seen.turns] == ["user", "assistant", "user", "assistant"]
    assert ("reasoning", "No prime up to 9 divides it.") in parts(seen.turns[3])
    assert "7 times 13 is 91" not in text_of(seen.turns[1].shown)
    assert seen.notes == ("The template leaves the reasoning of earlier turns out.",)


def test_blocks_of_code_are_told_from_words(look):
    seen, _, _ = look(CODE)

    assert parts(seen.turns[1])[1:4] == [
        ("said", "So:\n"),
        ("code", "```python\n91 % 7\n```"),
        ("said", "\nwhich is 0."),
    ]


@pytest.mark.parametrize("mode, place", [("keep_start", -1), ("keep_end", 0)])
def test_what_max_length_cuts_is_shown_as_cut(look, mode, place):
    seen, prepared, _ = look(CHAT, max_length=20, truncation_mode=mode)

    assert len(prepared["input_ids"]) == 20
    assert [turn.role for turn in seen.turns] == ["system", "user", "assistant", "user", "assistant"]
    assert all(piece.cut for piece in seen.turns[place].shown)
    assert not any(piece.cut for piece in seen.turns[-1 - place].shown)
    assert seen.notes[0].startswith("max_length cuts ")


def test_a_cut_through_a_character_shows_the_character_as_cut(look):
    row = {"messages": [{"role": "user", "content": "🗼" * 9}, ANSWER]}
    seen, prepared, tokenizer = look(row, max_length=8)

    assert tokenizer.backend.decode(prepared["input_ids"], skip_special_tokens=False).endswith("\ufffd")
    assert [turn.role for turn in seen.turns] == ["user", "assistant"]
    assert seen.turns[0].shown[-1].cut
    assert seen.notes[1] == "Nothing of this is learned."


def test_what_the_tokenizer_puts_around_plain_text_is_shown(look, project, model):
    tokenizer = model / "tokenizer.json"
    content = json.loads(tokenizer.read_text(encoding="utf-8"))
    around = TemplateProcessing(
        single="<|im_start|> $A <|im_end|>", special_tokens=[("<|im_start|>", 1), ("<|im_end|>", 2)]
    )
    tokenizer.write_text(json.dumps(content | {"post_processor": json.loads(around.__getstate__())}), encoding="utf-8")

    seen, _, _ = look({"prompt": "Is it?", "completion": " It is."}, assistant_only_loss=False)

    assert [(turn.role, text_of(turn.shown)) for turn in seen.turns] == [
        ("prompt", "<|im_start|>Is it?"),
        ("completion", " It is.<|im_end|><|im_end|>"),
    ]


def test_where_the_ids_are_not_the_text_both_are_shown(look, project, model):
    """A tokenizer that lower-cases: what the model reads is not what stands in the data."""
    tokenizer = model / "tokenizer.json"
    content = json.loads(tokenizer.read_text(encoding="utf-8")) | {"normalizer": {"type": "Lowercase"}}
    tokenizer.write_text(json.dumps(content), encoding="utf-8")

    seen, _, _ = look(CHAT)

    assert [(turn.role, text_of(turn.shown)) for turn in seen.turns][1:3] == [
        ("user", "Is 91 prime?"),
        ("assistant", "No: 7 times 13."),
    ]
    assert not any(piece.supervised for turn in seen.turns for piece in turn.shown)
    assert text_of(seen.read, lambda piece: piece.supervised) == "no: 7 times 13.<|im_end|>" * 2
    assert seen.notes == (OTHERWISE,)


def test_turns_stand_apart_where_the_text_before_one_is_rendered_otherwise(look):
    """A template that ends each conversation with a token: no part of one is how the whole begins."""
    seen, _, _ = look(CHAT, TEMPLATE + "{{ '<|endoftext|>' }}")

    assert [turn.role for turn in seen.turns] == ["system", "user", "assistant", "user", "assistant"]
    assert [text_of(turn.shown) for turn in seen.turns][2:4] == [
        "<|im_start|>assistant\nNo: 7 times 13.<|im_end|>\n",
        "<|im_start|>user\nIs 91 prime?<|im_end|>\n",
    ]

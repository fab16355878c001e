"""What is marked on the page is what the loss counts, for every kind of example."""

from typing import Any

import numpy as np
import pytest
from tokenizers.processors import TemplateProcessing

from preflight.data import fidelity
from preflight.data.label import IGNORE
from preflight.data.shapes import normalise
from preflight.review.view import view

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
{%- generation %}{% if message.reasoning_content and loop.last %}{{ '<think>' + message.reasoning_content + '</think>\n' }}
{%- endif %}{{ message.content }}{% for call in message.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}
{{- '<|im_end|>' }}{% endgeneration %}{% else %}{{ message.content + '<|im_end|>' }}{% endif %}{{ '\n' }}
{%- endfor %}"""


@pytest.fixture
def look(project, monkeypatch):
    """See a row as the page shows it, with the prepared ids that it was made from."""
    from preflight.config import load_config
    from preflight.data import store
    from preflight.data.prepare import prepare
    from preflight.model.tokenizer import load_tokenizer

    def at(row: dict[str, Any], **training: Any) -> tuple[Any, dict[str, Any], Any]:
        project.text(TEMPLATE, "template.jinja")
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

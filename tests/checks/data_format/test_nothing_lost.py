"""TOK-112: the template drops nothing of a conversation. TOK-113: arguments of tool calls are rendered once."""

import json

import pytest

TURN = "{{ '<|im_start|>' + m.role + '\n' + m.content }}CALLS{{ '<|im_end|>\n' }}"
CHATML = "TOOLS{% for m in messages %}" + TURN + "{% endfor %}"
CHATML += "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
BARE = CHATML.replace("TOOLS", "").replace("CALLS", "")
TOOLS = "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}"
CALLS = "{% for c in m.tool_calls or [] %}{{ c.function.name }} {{ ARGUMENTS }}{% endfor %}"
FULL = CHATML.replace("TOOLS", TOOLS).replace("CALLS", CALLS)
TOJSON, AS_IS = (
    FULL.replace("ARGUMENTS", "c.function.arguments | tojson"),
    FULL.replace("ARGUMENTS", "c.function.arguments"),
)
# Takes text and nothing else, and quotes it: then that is the model's own notation.
TEXT_ONLY = FULL.replace("ARGUMENTS", "(c.function.arguments + '') | tojson")
TOOL = {"type": "function", "function": {"name": "forecast", "parameters": {"type": "object"}}}


def talk(number, arguments):
    """A conversation with a system prompt, a call and its result."""
    function = {"name": "forecast", "arguments": arguments({"city": f"Town {number}"})}
    messages = [
        {"role": "system", "content": f"Be brief, my dear number {number}."},
        {"role": "user", "content": f"What is the weather in town {number}?"},
        {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]},
        {"role": "tool", "name": "forecast", "content": f'{{"degrees": {number}}}'},
        {"role": "assistant", "content": f"It has {number} degrees."},
    ]
    return {"messages": messages, "tools": [TOOL]}


@pytest.fixture
def rows(project):
    def place(template, arguments=dict):
        project.text(template, "template.jinja")
        project.rows([talk(number, arguments) for number in range(40)])
        return project.set(model={"chat_template": "template.jinja"})

    return place


def test_what_the_template_drops_is_found(expect, rows):
    rows(BARE.replace("in messages", "in messages if m.role not in ('system', 'tool')"))
    found = {finding["message"]: finding for finding in expect("TOK-112", "failed")}

    assert list(found) == [
        f"the template drops {what} in 40 of 40 rows"
        for what in ("the system prompt", "the words of a message", "a declared tool", "a tool call")
    ]
    first = next(iter(found.values()))
    assert first["where"] == "train.jsonl:1"
    assert "system: Be brief, my dear number 0." in first["observed"]
    assert "and 36 more" in first["observed"]


@pytest.mark.parametrize(
    "template, arguments, observed",
    [
        pytest.param(TOJSON, json.dumps, r"{\"city\": \"Town 0\"}", id="text put through tojson"),
        pytest.param(AS_IS, dict, "'city': 'Town 0'", id="an object written by Python"),
    ],
)
def test_arguments_in_another_notation_are_found(expect, rows, template, arguments, observed):
    rows(template, arguments)
    (finding,) = expect("TOK-113", "failed")

    assert "40 rows" in finding["message"]
    assert observed in finding["observed"].replace("\\\\", "\\").replace("\\'", "'")
    assert finding["fix"].startswith("Write arguments as")


@pytest.mark.parametrize(
    "template, arguments",
    [
        pytest.param(TOJSON, dict, id="an object put through tojson"),
        pytest.param(AS_IS, json.dumps, id="text as it is"),
        pytest.param(TEXT_ONLY, json.dumps, id="quoted, because the template takes nothing but text"),
    ],
)
def test_calls_in_the_form_that_the_template_takes_pass(project, rows, template, arguments):
    run = rows(template, arguments).gate("-k", "TOK-11")

    assert [run.outcome(code) for code in ("TOK-112", "TOK-113")] == ["passed"] * 2, run.screen

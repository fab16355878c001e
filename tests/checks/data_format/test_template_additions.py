"""TOK-114: the template adds no words of its own."""

import pytest

CODE = "TOK-114"
CHATML = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
CHATML += "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
# As Llama 3.2 does it: a system block with the date of the day, whatever the conversation has.
DATED = "{% set d = date_string if date_string is defined else strftime_now('%d %b %Y') %}"
DATED += "<|im_start|>system\nCutting Knowledge Date: December 2023\nToday Date: {{ d }}<|im_end|>\n" + CHATML
FIXED = DATED.replace("strftime_now('%d %b %Y')", "'26 Jul 2024'")
CLOCKLESS = "{% if strftime_now('%Y') == '2001' %}{{ no.such.thing }}{% endif %}" + CHATML
TALK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
SYSTEM = {"role": "system", "content": "Be brief and kind to all."}


@pytest.fixture
def rows(project):
    def place(template, *messages, **more):
        if template:
            project.text(template, "template.jinja")
            project.set(model={"chat_template": "template.jinja"})
        return project.rows([{"messages": each, **more} for each in messages])

    return place


@pytest.mark.parametrize(
    "template, messages, message, observed",
    [
        pytest.param(
            None,
            [[SYSTEM, *TALK], TALK],
            "words of its own to 1 row without a system",
            "named SmolLM",
            id="default prompt",
        ),
        pytest.param(DATED, [TALK], "the date of the day to 1 row without", "Today Date: 01 Jan 2001", id="date"),
        pytest.param(DATED, [[SYSTEM, *TALK]], "to 1 row with a system message", "Today", id="date and system prompt"),
        pytest.param(FIXED, [TALK], "words of its own to 1 row", "Today Date: 26 Jul 2024", id="a fixed date"),
    ],
)
def test_words_of_the_template_are_found(expect, rows, template, messages, message, observed):
    rows(template, *messages)
    (finding,) = expect(CODE, "warned")

    assert message in finding["message"]
    assert finding["where"] == f"train.jsonl:{len(messages)}"
    assert observed in finding["observed"]
    assert ("date_string" in finding["fix"]) == (template is DATED)


@pytest.mark.parametrize(
    "template, messages, more",
    [
        pytest.param(None, [[SYSTEM, *TALK]], {}, id="a default prompt that is never used"),
        pytest.param(CHATML, [[SYSTEM, *TALK], TALK], {}, id="markers and roles"),
        pytest.param(CLOCKLESS, [TALK], {}, id="a template that fails on another day"),
        pytest.param(CHATML, [[{"role": "user", "content": ""}, *TALK[1:]]], {}, id="an empty message"),
    ],
)
def test_a_template_without_words_passes(expect, rows, template, messages, more):
    rows(template, *messages, **more)

    assert expect(CODE, "passed") == []


def test_text_is_not_rendered(project, expect):
    project.rows([{"text": "Once."}])

    assert expect(CODE, "not-applicable") == []

"""TOK-109: no empty thinking is learned. TOK-110: reasoning is kept. TOK-111: earlier turns stay as they were."""

import pytest

PROMPT = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}OPENED{% endif %}"
# As Qwen3 does it: a block before the last answer, none before earlier ones; an empty one in the prompt if asked.
QWEN = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' and loop.last %}"
    "{{ '<think>\n' + (m.reasoning_content or '') + '\n</think>\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}"
    "{% endfor %}" + PROMPT
)
QWEN = QWEN.replace("OPENED", "{% if enable_thinking is defined and not enable_thinking %}{{ BLOCK }}{% endif %}")
QWEN = QWEN.replace("BLOCK", "'<think>\n\n</think>\n\n'")
PLAIN = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    + PROMPT.replace("OPENED", "")
)
R1 = PLAIN.replace("m.content +", "m.content.split('</think>')[-1] +")
OFF = {"chat_template_kwargs": {"enable_thinking": False}}


def user(number):
    return {"role": "user", "content": f"What is {number} and {number}?"}


def said(number, **more):
    return {"role": "assistant", "content": f"It is {2 * number}.", **more}


def thinks(number):
    return f"Twice {number}, so {2 * number}."


@pytest.fixture
def rows(project):
    def place(template, make, count=40):
        project.text(template, "template.jinja")
        project.rows([make(number) for number in range(count)])
        return project.set(model={"chat_template": "template.jinja"})

    return place


def test_empty_blocks_are_found_until_they_belong_to_the_prompt(expect, rows):
    rows(QWEN, lambda number: {"messages": [user(number), said(number)]})
    (finding,) = expect("TOK-109", "warned")

    assert "40 of 40 rows" in finding["message"]
    assert "<think>" in finding["observed"]

    rows(QWEN, lambda number: {"messages": [user(number), said(number)], **OFF})  # the fix that the finding names
    assert expect("TOK-109", "passed") == []


@pytest.mark.parametrize(
    "template, message, expected",
    [
        pytest.param(
            R1, {"content": "<think>THOUGHT</think>Yes."}, "drops the reasoning", id="cut off by the template"
        ),
        pytest.param(
            PLAIN, {"content": "Yes.", "reasoning_content": "THOUGHT"}, "drops the reasoning", id="key unread"
        ),
        pytest.param(PLAIN, {"content": "THOUGHT</think>Yes."}, "opened and not closed", id="closed only"),
    ],
)
def test_lost_reasoning_is_found(expect, rows, template, message, expected):
    def make(number):
        filled = {key: value.replace("THOUGHT", thinks(number)) for key, value in message.items()}
        return {"messages": [user(number), {"role": "assistant", **filled}]}

    rows(template, make)
    (finding,) = expect("TOK-110", "failed")

    assert expected in finding["message"]
    assert "Twice 0" in finding["observed"]


@pytest.mark.parametrize(
    "template, make",
    [
        pytest.param(PLAIN, said, id="none"),
        pytest.param(PLAIN, lambda n: said(n, content=f"<think>{thinks(n)}</think>Yes."), id="in the text"),
        pytest.param(QWEN, lambda n: said(n, reasoning_content=thinks(n)), id="in its key"),
    ],
)
def test_kept_reasoning_passes(project, rows, template, make):
    rows(template, lambda number: {"messages": [user(number), make(number)]})
    run = project.gate("-k", "TOK-1")

    assert {run.outcome(code) for code in ("TOK-109", "TOK-110", "TOK-111")} == {"passed"}, run.screen


def test_reasoning_of_earlier_turns_is_found_where_they_are_learned(project, expect, rows):
    def talk(n):
        first, last = said(n, reasoning_content=thinks(n)), said(n + 1, reasoning_content="Hm, so.")
        return [user(n), first, user(n + 1), last]

    rows(QWEN, lambda number: {"messages": talk(number)})
    (finding,) = expect("TOK-111", "warned")

    assert "earlier answers of 40 rows" in finding["message"]
    assert "Twice 0" in finding["observed"]
    assert expect("TOK-110", "passed") == []

    rows(QWEN, lambda number: {"prompt": talk(number)[:3], "completion": talk(number)[3:]})  # only the last is learned
    assert expect("TOK-111", "passed") == []

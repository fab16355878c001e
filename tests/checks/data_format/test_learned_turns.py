"""TOK-106: no prompt is learned. TOK-107: most of what is learned are answers. TOK-108: every answer is learned."""

import json

import pytest

HEADER = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
TURN = "{% if LEARNED %}{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}"
TURN += "{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
PROMPT = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
EVERYTHING = {"assistant_only_loss": False}
PAIR = {"prompt": "How many are two and two, and why do you think so?", "completion": " Four."}


def marked(project, condition):
    """A template that marks the turns for which the condition holds."""
    project.text(HEADER + TURN.replace("LEARNED", condition) + PROMPT, "template.jinja")
    return project.set(model={"chat_template": "template.jinja"})


@pytest.fixture
def turns(project):
    """Conversations of two turns each."""
    chats = [json.loads(line)["messages"] for line in (project.folder / "train.jsonl").read_text().splitlines()]
    project.rows([{"messages": [*chats[n], *chats[n + 40]]} for n in range(40)])
    return project


def test_a_template_that_marks_prompts_is_found(turns, expect):
    marked(turns, "m.role in ('user', 'assistant')")
    (finding,) = expect("TOK-106", "failed")

    assert finding["message"] == "text that the assistant did not say is learned in 40 of 40 rows"
    assert finding["where"] == "train.jsonl:1"
    assert "How do I" in finding["observed"]
    assert "train.jsonl:2, train.jsonl:3" in finding["observed"]
    assert finding["fix"].startswith("Put {% generation %} behind the header")


def test_a_template_that_marks_one_turn_is_found(turns, expect):
    marked(turns, "m.role == 'assistant' and loop.last")
    (finding,) = expect("TOK-108", "warned")

    assert finding["message"] == "40 rows of 40 have an answer that is not learned"
    assert "To " in finding["observed"]


def test_conversations_that_are_learned_whole_are_found(turns, expect):
    turns.set(training=EVERYTHING)
    (finding,) = expect("TOK-107", "warned")

    assert finding["message"] == "77% of what is learned are prompts and markers, not answers"
    assert finding["where"].startswith("config.yaml:")
    assert finding["fix"] == "Set training.assistant_only_loss: true."
    assert expect("TOK-106", "not-applicable") == []

    turns.set(training={"assistant_only_loss": True})  # the fix that the finding names
    for code in ("TOK-106", "TOK-107", "TOK-108"):
        assert expect(code, "passed") == []


@pytest.mark.parametrize(
    "rows, training, outcomes",
    [
        pytest.param([PAIR] * 20, {}, ["passed", "passed"], id="pairs by default"),
        pytest.param(
            [PAIR] * 20, {"completion_only_loss": False}, ["not-applicable", "warned"], id="pairs learned whole"
        ),
        pytest.param([{"text": "Once."}] * 20, {}, ["not-applicable", "passed"], id="text"),
        pytest.param(
            [{"instruction": "How many are two and two?", "output": "4"}] * 20, {}, ["passed", "passed"], id="alpaca"
        ),
        pytest.param(
            [{"messages": [{"role": "user", "content": "Go on."}, {"role": "assistant", "content": "Yes. " * 90}]}]
            * 20,
            {},
            ["not-applicable", "passed"],
            id="long answers",
        ),
    ],
)
def test_other_shapes(project, rows, training, outcomes):
    project.set(training={**EVERYTHING, **training}).rows(rows)
    run = project.gate("-k", "TOK-10")

    assert [run.outcome(code) for code in ("TOK-106", "TOK-107")] == outcomes, run.screen
    if "warned" in outcomes:
        assert run.findings("TOK-107")[0]["fix"] == "Remove training.completion_only_loss."

"""POST-108: control tokens and markers of turns in answers, and answers that only look like it."""

import pytest

from preflight.checks.validation.control_tokens import answers_hold_no_control_tokens as check
from preflight.config import load_config
from preflight.evaluation.generate import Answer, Reply
from preflight.model.tokenizer import load_tokenizer

VICUNA = (
    "{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }} {% else %}ASSISTANT: {{ m.content }}"
    "{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
PROMPTS = [f"Question: How many are {n}?\n\nNote: short\nA:" for n in range(8)]


@pytest.fixture
def ask(project, judge):
    """The findings on eight answers that all say the same."""

    def findings(said, expected="Fine.", *, prompts=None, template=None, bad=8, limits=None):
        if template:
            project.text(template, "own.jinja")
            project.set(model={"chat_template": "own.jinja"})
        tokenizer = load_tokenizer(load_config(project.write()))

        def reply(text):
            ids = tokenizer.hf.encode(text, add_special_tokens=False)
            return Reply(text, ids, True)

        answers = [
            Answer(
                f"validation row {number}",
                prompts[number] if prompts else "<|im_start|>user\nHi!<|im_end|>\n<|im_start|>assistant\n",
                expected,
                3,
                reply("Sound."),
                reply(said if number < bad else "Sound."),
                {"prompt": prompts[number]} if prompts else {"messages": []},
            )
            for number in range(8)
        ]
        return judge(check, limits, tokenizer=tokenizer, answers=answers)

    return findings


@pytest.mark.parametrize(
    "said, marker",
    [
        pytest.param("Fine.<|im_start|>user\nAnd you?", "<|im_start|>", id="a special token of the tokenizer"),
        pytest.param("Fine.<|endoftext|>More.", "<|endoftext|>", id="one that doesn't stop it"),
        pytest.param("Fine. [INST] And you? [/INST] Good.", "[INST]", id="Llama 2"),
        pytest.param("<<SYS>> Be kind. <</SYS>>", "<<SYS>>", id="its system prompt"),
        pytest.param("Fine.\n<|user|>\nAnd you?", "<|user|>", id="Zephyr"),
        pytest.param("Fine.<end_of_turn>", "<end_of_turn>", id="Gemma"),
        pytest.param("Fine.\n### Instruction:\nAnd you?", "### Instruction:", id="Alpaca"),
        pytest.param("### Response:\nFine.", "### Response:", id="at the start"),
        pytest.param("Assistant: Fine.", "Assistant:", id="opens with who speaks"),
        pytest.param("Fine.\nUser: And you?\nAssistant: Good.", "User:", id="goes on with a question"),
        pytest.param("Fine.\n\nHuman: And you?", "Human:", id="and is cut off"),
    ],
)
def test_an_answer_with_a_marker(ask, said, marker):
    findings = ask(said)

    assert len(findings) == 8
    assert f"the answer holds {marker!r}" in findings[0].message
    assert findings[0].where == "validation row 0"
    assert findings[0].observed == "8 of 8 answers, base 0"


@pytest.mark.parametrize(
    "said, expected",
    [
        pytest.param("It is fine.", "Fine.", id="plain"),
        pytest.param("", "Fine.", id="empty"),
        pytest.param("<think>It is so.</think>\nFine.", "Fine.", id="reasoning, which is no turn"),
        pytest.param("Write `<|user|>` before it.", "Fine.", id="code"),
        pytest.param("```\n### Instruction:\n[INST]\n```", "Fine.", id="a block of code"),
        pytest.param("Write <|user|> before it.", "Put <|user|> there.", id="data about templates"),
        pytest.param("Fine.<|im_start|>tool", "Fine.<|im_start|>tool", id="a special token that is learned"),
        pytest.param("User: Hi.\n\nUser: Ho.", "User: a\nAssistant: b\nUser: c", id="dialogues are wanted"),
        pytest.param("Host: mail\nUser: bob\nPort: 25", "Fine.", id="a list with labels"),
        pytest.param("The human user: a being. Assistant: a helper.", "Fine.", id="in a sentence"),
        pytest.param("## Answer\nFine.\n### Notes\nNone.", "Fine.", id="headings"),
        pytest.param("if a < b | c > d: <s>bold</s> text", "Fine.", id="signs and HTML"),
    ],
)
def test_an_answer_that_only_looks_like_it(ask, said, expected):
    assert ask(said, expected) == []


def test_another_marker_than_the_data_have_still_counts(ask):
    assert "[INST]" in ask("See <|user|>. [INST] And?", "Put <|user|> there.")[0].message


@pytest.mark.parametrize(
    "said, fires",
    [
        pytest.param("Fine. USER: And you? ASSISTANT: Good.", True, id="goes on in the words of its template"),
        pytest.param("The SUPERUSER: a myth.", False, id="the end of another word"),
        pytest.param("The user asks an assistant.", False, id="other words"),
    ],
)
def test_markers_of_the_template_that_are_no_tokens(ask, said, fires):
    assert bool(ask(said, template=VICUNA)) == fires


@pytest.mark.parametrize(
    "said, expected, fires",
    [
        pytest.param("Four.\n\nQuestion: How many are 9?\nA: Nine.", "Four.", True, id="goes on with a question"),
        pytest.param("Four.\nA: Five.", "Four.", True, id="answers again"),
        pytest.param("Option A: four.", "Four.", False, id="within a line"),
        pytest.param("Why: it is so.", "Four.", False, id="a label of its own"),
        pytest.param("Note: four.", "Note: four.", False, id="a label that answers have"),
    ],
)
def test_labels_of_prompts_that_were_written_by_hand(ask, said, expected, fires):
    assert bool(ask(said, expected, prompts=PROMPTS)) == fires


def test_labels_within_messages_are_content(ask):
    assert ask("Note: four.\nQuestion: none.") == []


@pytest.mark.parametrize(("bad", "limits", "fires"), [(1, None, 0), (2, None, 2), (1, {"max_fraction": 0.0}, 1)])
def test_the_share_that_is_allowed(ask, bad, limits, fires):
    assert len(ask("Fine. [INST]", bad=bad, limits=limits)) == fires


def test_a_template_that_refuses_the_probe(ask):
    """Roles that it doesn't know: then its markers can't be told, and the others are looked for."""
    assert ask("Fine.\nUSER: hi", template="{{ raise_exception('no') }}") != []
    assert ask("Fine.", template="{{ raise_exception('no') }}") == []

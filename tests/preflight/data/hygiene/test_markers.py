"""Markers of turns: control tokens and labels that a template writes, not a speaker."""

import pytest

CHATML = "It is so.<|im_end|>\n<|im_start|>user\nAnd now?"


@pytest.mark.parametrize(
    "answer, variety",
    [
        ("It is so.</s>", "</s>"),
        ("It is so.<|eot_id|>", "<|eot_id|>"),
        ("<start_of_turn>model\nIt is so.", "<start_of_turn>"),
        ("It is so. [INST] And now? [/INST] Now too.", "[INST]"),
        ("<<SYS>>\nBe kind.\n<</SYS>>\nIt is so.", "<<SYS>>"),
        ("It is so.<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        ("<|channel|>final<|message|>It is so.", "<|channel|>"),
        ("Assistant: It is so.", "Assistant:"),
        ("ASSISTANT: It is so.", "ASSISTANT:"),
        ("### Response:\nIt is so.", "### Response:"),
        ('### Output:\n["Apple"]', "### Output:"),
        ("It is so.\n\nHuman: And now?", "Human:"),
        ("It is so.\n\nUser: And now?\n\nAssistant: Now too.", "User:"),
        ("It is so.\n\n### Instruction:\nName a fruit.", "### Instruction:"),
        ("It is so.\n### Human: And now?", "### Human:"),
    ],
)
def test_markers_in_an_answer_are_found(varieties, answer, variety):
    assert varieties("marker", answer) == {variety}


def test_the_users_own_marker_is_found(varieties):
    assert varieties("marker", "It is so.", "Human: What is it?") == {"Human:"}


@pytest.mark.parametrize(
    "answer, question",
    [
        pytest.param(CHATML, "What is it?", id="the tokenizer's own tokens are another check's"),
        pytest.param("User: Hi\n\nAssistant: Hello", "Write a dialogue with a chatbot.", id="a dialogue"),
        pytest.param("ANNA: You came.\n\nBEN: I did.", "What do they say?", id="names of others"),
        pytest.param("In ChatML a turn begins with `<|eot_id|>`.", "What is it?", id="in a span of code"),
        pytest.param("```\n[INST] Hi [/INST]\n```", "What is it?", id="in a block of code"),
        pytest.param("### Response time\n\nKeep it short.", "What is it?", id="a heading without a colon"),
        pytest.param("Roles:\n\nManager: decides.\n\nAssistant: helps.\n\nUser: works.", "Who?", id="a list of roles"),
        pytest.param("Dog: 38 °C\nHuman: 37 °C", "Name temperatures.", id="a list of species"),
        pytest.param("### Request:\nGET /\n### Response:\n200", "Describe the HTTP endpoint.", id="an API"),
        pytest.param("a < b and [INSTALL] it, <s>old</s> price, see </s", "What is it?", id="other brackets"),
        pytest.param("Answer: 42", "What is it?", id="an answer that says so"),
    ],
)
def test_what_only_looks_like_a_marker_is_not_found(varieties, answer, question):
    assert varieties("marker", answer, question) == set()


def test_plain_text_may_be_in_a_format_of_its_own(look):
    text = "### Instruction:\nName a fruit.\n\n### Response:\nApple</s>"

    assert look([{"text": text}]).count("marker") == 0
    assert (
        look([{"prompt": "### Instruction:\nName a fruit.\n\n### Response:\n", "completion": "Apple"}]).count("marker")
        == 0
    )
    assert (
        look([{"prompt": "Name a fruit.", "completion": "Apple\n\n### Instruction:\nName two."}]).count("marker") == 1
    )

"""TOK-104: no example begins with two BOS. TOK-105: BOS is there if texts have it, EOS is not doubled."""

import json

import pytest

CHATML = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
CHATML += "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
BOS = "<repo_name>"


def adds(model, single):
    """Let the tokenizer put special tokens around plain text."""
    path = model / "tokenizer.json"
    saved = json.loads(path.read_text())
    ids = {BOS: 3, "<|im_end|>": 2}
    saved["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}} if part == "A" else special(part) for part in single],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {
            token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in single if token != "A"
        },
    }
    path.write_text(json.dumps(saved))


def special(token):
    return {"SpecialToken": {"id": token, "type_id": 0}}


@pytest.fixture
def with_bos(project, model):
    """The project with a tokenizer that begins texts with BOS, and a template."""
    path = model / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"bos_token": BOS}))

    def place(template, single=(BOS, "A")):
        adds(model, single)
        project.text(template, "template.jinja")
        return project.set(model={"chat_template": "template.jinja"})

    return place


@pytest.mark.parametrize(
    "rows, fix",
    [
        ([{"text": f"{BOS}Once upon a time {number}."} for number in range(20)], "start of the text"),
        (None, "from the messages, or from the chat template"),
    ],
    ids=["typed in the text", "twice in the template"],
)
def test_two_bos_are_found(project, expect, with_bos, rows, fix):
    with_bos(CHATML if rows else BOS * 2 + CHATML)
    if rows:
        project.rows(rows)
    (finding,) = expect("TOK-104", "failed")

    assert finding["message"].endswith(f"begin with {BOS} twice")
    assert finding["where"] == "train.jsonl:1"
    assert fix in finding["fix"]


def test_a_chat_without_bos_is_found_until_the_template_has_it(expect, with_bos):
    with_bos(CHATML)
    (finding,) = expect("TOK-105", "warned")

    assert finding["message"] == f"600 conversations of 600 have no {BOS} at the start"
    assert finding["fix"] == "Begin the chat template with {{ bos_token }}."

    with_bos("{{ bos_token }}" + CHATML)
    assert expect("TOK-104", "passed") == expect("TOK-105", "passed") == []


def test_a_doubled_eos_is_found(project, expect, with_bos):
    with_bos(CHATML, (BOS, "A", "<|im_end|>")).rows([{"text": f"It is number {number}."} for number in range(20)])
    (finding,) = expect("TOK-105", "warned")

    assert finding["message"] == "20 rows of 20 have <|im_end|> twice in a row"
    assert "add_eos_token" in finding["fix"]


def test_add_eos_token_that_is_not_honoured_costs_nothing(project, model):
    """TRL appends EOS to plain text, whatever the tokenizer does with the setting."""
    path = model / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"add_eos_token": True}))
    for rows in (None, [{"text": f"It is number {number}."} for number in range(20)]):
        if rows:
            project.rows(rows)
        run = project.gate("-k", "TOK")

        assert [run.outcome(code) for code in ("TOK-102", "TOK-104", "TOK-105")] == ["passed"] * 3, run.screen


def test_a_model_without_bos_has_nothing_to_judge(project, expect, model):
    path = model / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"bos_token": None}))

    assert expect("TOK-104", "not-applicable") == []
    assert expect("TOK-105", "passed") == []

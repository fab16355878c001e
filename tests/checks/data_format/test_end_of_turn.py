"""TOK-102: every answer ends with a supervised token that stops generation."""

import json
import shutil

import pytest

CODE = "TOK-102"
HEADER = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
PROMPT = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
CHATML = HEADER + "{{ m.content + '<|im_end|>\n' }}{% endfor %}" + PROMPT
OPEN_ENDED = HEADER + "{{ m.content + '\n' }}{% endfor %}" + PROMPT
MARKED = (
    HEADER + "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}INSIDE{% endgeneration %}OUTSIDE"
    "{% else %}{{ m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}" + PROMPT
)
INSIDE, OUTSIDE = (MARKED.replace(name, "<|im_end|>\n") for name in ("INSIDE", "OUTSIDE"))
INSIDE, OUTSIDE = INSIDE.replace("OUTSIDE", ""), OUTSIDE.replace("INSIDE", "")
TWO_BLOCKS = INSIDE.replace("<|im_end|>\n{% endgen", "{% endgeneration %}{% generation %}<|im_end|>{% endgen")
ALPACA = (
    "{% for m in messages %}{% if m.role == 'user' %}### Instruction:\n{{ m.content }}\n\n"
    "{% else %}### Response:\n{{ m.content }}END\n\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}### Response:\n{% endif %}"
)
EVERYTHING = {"assistant_only_loss": False}


@pytest.fixture
def fewer(project):
    """The project with 20 rows of two turns each, and a copy of its model to be changed."""
    chats = [json.loads(line)["messages"] for line in (project.folder / "train.jsonl").read_text().splitlines()]
    project.rows([{"messages": [*chats[n], *chats[n + 20]]} for n in range(20)])
    shutil.copytree(project.config["model"]["name_or_path"], project.folder / "model")
    return project.set(model={"name_or_path": "model"})


def with_template(project, template):
    project.text(template, "template.jinja")
    return project.set(model={"chat_template": "template.jinja"})


def edit(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    "template, training, tail",
    [
        pytest.param(OPEN_ENDED, {}, ".'", id="no end of turn"),
        pytest.param(OPEN_ENDED, EVERYTHING, ".\\n'", id="no end of turn, everything learned"),
        pytest.param(OUTSIDE, {}, ".'", id="markers exclude it"),
        pytest.param(ALPACA.replace("END", ""), {}, ".", id="alpaca without EOS"),
        pytest.param(CHATML.replace("<|im_end|>", "<|file_sep|>"), {}, "<|file_sep|>'", id="ordinary text ends it"),
        pytest.param(CHATML.replace("<|im_end|>", "<file_sep>"), {}, "<file_sep>'", id="another special token ends it"),
    ],
)
def test_answers_without_an_end_are_found(fewer, expect, template, training, tail):
    with_template(fewer, template).set(training=training)
    (finding,) = expect(CODE, "failed")

    assert finding["message"].startswith("20 of 20 answers do not end with a supervised stop token")
    assert finding["message"].endswith(tail) or tail in finding["message"]
    assert finding["where"] == "train.jsonl:1"
    assert finding["expected"] == "at least 99% ending with <|im_end|>"
    assert finding["fix"].startswith("Close the assistant's turn with the EOS token")


def test_an_end_that_stops_nothing_is_found_until_it_does(fewer, expect):
    """The template ends turns with <|im_end|>, but generation only stops at <|endoftext|>."""
    model = fewer.folder / "model"
    edit(model / "tokenizer_config.json", eos_token="<|endoftext|>")
    edit(model / "generation_config.json", eos_token_id=0)
    (finding,) = expect(CODE, "failed")

    assert finding["expected"].endswith("ending with <|endoftext|>")
    assert "generation_config.json" in finding["fix"]

    edit(model / "generation_config.json", eos_token_id=[0, 2])  # the fix that the finding names, on prepared data
    assert expect(CODE, "passed") == []


def test_an_eos_token_outside_the_vocabulary_is_found(project, expect):
    project.set(training={"eos_token": "</s>"})
    (finding,) = expect(CODE, "failed")

    assert finding["message"] == "the EOS token '</s>' is not in the vocabulary"
    assert finding["where"].startswith("config.yaml:")
    assert finding["fix"] == 'Set training.eos_token: "<|im_end|>".'


@pytest.mark.parametrize(
    "template, training",
    [
        pytest.param(CHATML, EVERYTHING, id="everything learned, line break behind the end"),
        pytest.param(INSIDE, {}, id="markers include the end and a line break"),
        pytest.param(TWO_BLOCKS, {}, id="content and end marked apart"),
        pytest.param(ALPACA.replace("END", "{{ eos_token }}"), {}, id="alpaca with EOS"),
        pytest.param(CHATML, {"max_length": 24}, id="cut answers are another check's"),
        pytest.param(CHATML, {"packing": True}, id="packed"),
    ],
)
def test_ended_answers_pass(fewer, expect, template, training):
    with_template(fewer, template).set(training=training)

    assert expect(CODE, "passed") == []


def test_text_and_completions_get_an_end(project, expect):
    project.rows([{"text": "Once."}, {"text": "Twice.<|im_end|>"}, {"prompt": "a", "completion": " b"}] * 3)

    assert expect(CODE, "passed") == []


@pytest.mark.parametrize("wrong, outcome", [(6, "passed"), (7, "failed")])
def test_one_in_a_hundred_may_end_otherwise(project, expect, wrong, outcome):
    rows = [json.loads(line) for line in (project.folder / "train.jsonl").read_text().splitlines()]
    for row in rows[:wrong]:
        row["messages"][-1]["open"] = True
    with_template(project, CHATML.replace("'<|im_end|>\n'", "('' if m.open else '<|im_end|>\n')")).rows(rows)
    findings = expect(CODE, outcome)

    assert [finding["message"].partition(" answers")[0] for finding in findings] == ["7 of 600"] * len(findings)

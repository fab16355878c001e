"""TOK-100: the chat template renders every example."""

import json

import pytest

CODE = "TOK-100"
CHATML = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + CHATML
)
NO_EMPTY = "{{ '' if messages[0].content else messages[0].nothing.at_all }}" + CHATML
NEEDS_ANSWER = "{% if messages[-1].role != 'assistant' %}{{ raise_exception('no answer') }}{% endif %}" + CHATML
USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}
SYSTEM = {"role": "system", "content": "Be brief."}
GOOD = {"messages": [USER, ANSWER]}


def with_template(project, template):
    project.text(template, "template.jinja")
    return project.set(model={"chat_template": "template.jinja"})


@pytest.mark.parametrize(
    "template, row, message",
    [
        pytest.param(NO_SYSTEM, [SYSTEM, USER, ANSWER], "System role not supported", id="a refused system message"),
        pytest.param(NO_EMPTY, [{"role": "user", "content": ""}, ANSWER], "UndefinedError: ", id="another error"),
        pytest.param("{% if %}", [USER, ANSWER], "TemplateSyntaxError: ", id="a template that isn't one"),
    ],
)
def test_refused_rows_are_found(project, expect, template, row, message):
    with_template(project, template).rows([GOOD, {"messages": row}])
    finding = expect(CODE, "failed")[-1 if "if %" in template else 0]

    assert finding["message"].startswith("the chat template refuses this row: ")
    assert message in finding["message"]
    assert finding["where"] in ("train.jsonl:2", "validation.jsonl:16")
    assert finding["fix"].startswith("Set model.chat_template")


def without_template(project, tiny):
    """A copy of the model that has no chat template."""
    import shutil

    shutil.copytree(tiny, project.folder / "model")
    (project.folder / "model" / "chat_template.jinja").unlink()
    return project.set(model={"name_or_path": "model"})


def test_a_tokenizer_without_a_template_is_found(project, tiny, expect):
    without_template(project, tiny).rows([GOOD])
    finding = expect(CODE, "failed")[0]

    assert "no chat template; set model.chat_template" in finding["message"]
    assert finding["where"] == "train.jsonl:1"


def test_text_needs_no_template(project, tiny, expect):
    without_template(project, tiny).set(training={"assistant_only_loss": False})
    for name in ("train.jsonl", "validation.jsonl"):
        project.rows([{"text": "Hi"}, {"prompt": "Hi", "completion": " there"}], name)

    assert expect(CODE, "passed") == []


def test_several_named_templates_use_the_default(project, tiny, expect):
    without_template(project, tiny)
    path = project.folder / "model" / "tokenizer_config.json"
    named = [{"name": "tool_use", "template": "{{ fail() }}"}, {"name": "default", "template": CHATML}]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": named}))

    assert expect(CODE, "passed") == []


@pytest.mark.parametrize(
    "template, rows",
    [
        pytest.param(NO_SYSTEM, [GOOD], id="no system message to refuse"),
        pytest.param(NEEDS_ANSWER, [GOOD, {"messages": [USER, ANSWER] * 2}], id="only parts of a chat are refused"),
        pytest.param(CHATML, [{"messages": [ANSWER, USER, ANSWER]}], id="the assistant first"),
    ],
)
def test_rendered_rows_pass(project, expect, template, rows):
    with_template(project, template).rows(rows)

    assert expect(CODE, "passed") == []

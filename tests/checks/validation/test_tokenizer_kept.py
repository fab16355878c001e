"""POST-122: the tokenizer beside the model against the run's."""

import json
import shutil

import pytest

from preflight.checks.validation import tokenizer_kept
from preflight.config import load_config
from preflight.findings import NotAvailable
from preflight.model.tokenizer import load_tokenizer

TEMPLATE = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}"


FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@pytest.fixture
def judged(project, tiny, judge):
    """Put the run's tokenizer beside the model, change it, and judge it."""

    def findings(edit=lambda folder: None, **sections):
        config = load_config(project.set(**sections).write())
        folder = project.folder / "run"
        folder.mkdir(exist_ok=True)
        for name in FILES:
            shutil.copy(tiny / name, folder / name)
        (folder / "run-card.json").write_text("{}")
        edit(folder)
        return judge(
            tokenizer_kept.the_saved_tokenizer_is_the_one_of_the_run, config=config, tokenizer=load_tokenizer(config)
        )

    return findings


def settings(**values):
    def edit(folder):
        path = folder / "tokenizer_config.json"
        found = {**json.loads(path.read_text()), **values}
        path.write_text(json.dumps({key: value for key, value in found.items() if value is not ...}))

    return edit


def template(text):
    return lambda folder: (folder / "chat_template.jinja").write_text(text)


def in_template(old, new):
    def edit(folder):
        text = (folder / "chat_template.jinja").read_text()
        assert old in text
        (folder / "chat_template.jinja").write_text(text.replace(old, new))

    return edit


def added(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(folder)


def lower_case(folder):
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "normalizer": {"type": "Lowercase"}}))


def truncating(folder):
    path = folder / "tokenizer.json"
    cut = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    path.write_text(json.dumps({**json.loads(path.read_text()), "truncation": cut}))


def test_the_runs_own(flown):
    run = flown.gate("-k", "POST-122", stage="postflight")

    assert run.outcome("POST-122") == "passed", run.screen


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda folder: None, id="as saved"),
        pytest.param(
            settings(padding_side="left", model_max_length=7, note="by hand", clean_up=False), id="irrelevant"
        ),
        pytest.param(settings(pad_token=...), id="no padding"),
        pytest.param(truncating, id="truncation of some run"),
        pytest.param(in_template("{% for", "{#- Of the run. -#}{% for"), id="a comment in the template"),
    ],
)
def test_what_comes_to_the_same(judged, edit):
    assert judged(edit) == []


@pytest.mark.parametrize(
    "edit, message",
    [
        pytest.param(template(TEMPLATE), "chat template is not the one", id="another template"),
        pytest.param(template(""), "chat template is not the one", id="an empty template"),
        pytest.param(template("{{ raise_exception('no') }}"), "chat template is not the one", id="one that refuses"),
        pytest.param(lambda folder: (folder / "chat_template.jinja").unlink(), "chat template is not", id="none"),
        pytest.param(
            in_template("You are a helpful AI assistant", "You are a pirate"), "chat template is not", id="system"
        ),
        pytest.param(settings(eos_token="<|endoftext|>"), "another EOS token", id="EOS"),
        pytest.param(settings(pad_token="<|im_start|>"), "another PAD token", id="padding"),
        pytest.param(settings(bos_token="<|im_end|>"), "another BOS token", id="BOS"),
        pytest.param(added, "other ids to '<new>'", id="a token more"),
        pytest.param(lower_case, "other ids to plain text", id="lower case"),
        pytest.param(lambda folder: (folder / "tokenizer.json").write_text("{"), "does not load", id="damaged"),
    ],
)
def test_what_is_another_tokenizer(judged, edit, message):
    findings = judged(edit)

    assert message in findings[0].message
    assert findings[0].fix
    assert findings[0].why


def test_a_template_of_the_config_that_was_saved(judged, project):
    (project.folder / "own.jinja").write_text(TEMPLATE)

    assert judged(template(TEMPLATE), model={"chat_template": "own.jinja"}) == []


def test_a_template_of_the_config_that_was_not_saved(judged, project):
    (project.folder / "own.jinja").write_text(TEMPLATE)

    (finding,) = judged(model={"chat_template": "own.jinja"})
    assert "<s>system" in finding.expected
    assert "im_start" in finding.observed


def test_padding_of_a_run_elsewhere_is_its_own_affair(judged, project):
    def elsewhere(folder):
        settings(pad_token="<|im_start|>")(folder)
        (folder / "run-card.json").unlink()
        (folder / "adapter_config.json").write_text("{}")

    assert judged(elsewhere) == []
    assert len(judged(elsewhere, training={"pad_token": "<|endoftext|>"})) == 1


def test_no_tokenizer_is_not_available(judged):
    def gone(folder):
        for name in FILES[:2]:
            (folder / name).unlink()

    with pytest.raises(NotAvailable, match="POST-101"):
        judged(gone)

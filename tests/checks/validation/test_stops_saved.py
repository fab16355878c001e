"""POST-127: the token that ends a turn stops what is served."""

import json
import shutil

import pytest

from preflight.checks.validation import stops_saved
from preflight.config import load_config
from preflight.findings import NotApplicable, NotAvailable
from preflight.model.tokenizer import load_tokenizer

PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
END = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|endoftext|>{% endfor %}"


@pytest.fixture
def judged(project, model, judge):
    """Judge the folder of a run on this model; `tokenizer` and `generation` are the files in that folder."""

    def findings(tokenizer=None, generation=None, template=None, base=None):
        folder = project.folder / "run"
        folder.mkdir(exist_ok=True)
        shutil.copy(model / "tokenizer_config.json", folder)
        if template is not None:
            (model / "chat_template.jinja").write_text(template)
        if base is not None:
            (model / "generation_config.json").write_text(json.dumps(base))
        if tokenizer is not None:
            found = json.loads((folder / "tokenizer_config.json").read_text())
            (folder / "tokenizer_config.json").write_text(json.dumps({**found, **tokenizer}))
        if generation is not None:
            (folder / "generation_config.json").write_text(json.dumps(generation))
        config = load_config(project.write())
        return judge(stops_saved.the_end_of_turn_stops_the_saved_model, config=config, tokenizer=load_tokenizer(config))

    return findings


def test_the_runs_own(flown):
    run = flown.gate("-k", "POST-127", stage="postflight")

    assert run.outcome("POST-127") == "passed", run.screen
    assert run.check("POST-127")["evidence"]["end"] == 2


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="EOS of the tokenizer"),
        pytest.param({"tokenizer": {"eos_token": {"content": "<|im_end|>", "lstrip": False}}}, id="as an object"),
        pytest.param({"tokenizer": {"eos_token": "<|endoftext|>"}, "base": {"eos_token_id": [0, 2]}}, id="of the base"),
        pytest.param(
            {
                "tokenizer": {"eos_token": "<|endoftext|>"},
                "base": {"eos_token_id": 0},
                "generation": {"eos_token_id": 2},
            },
            id="of the folder",
        ),
        pytest.param({"template": END, "tokenizer": {"eos_token": "<|endoftext|>"}}, id="another end"),
    ],
)
def test_it_stops(judged, given):
    assert judged(**given) == []


@pytest.mark.parametrize(
    "given, stops",
    [
        pytest.param({"tokenizer": {"eos_token": "<|endoftext|>"}, "base": {"eos_token_id": 0}}, [0, 2], id="base EOS"),
        pytest.param(
            {
                "tokenizer": {"eos_token": "<|endoftext|>"},
                "base": {"eos_token_id": 2},
                "generation": {"eos_token_id": [0]},
            },
            [0, 2],
            id="a generation config of its own",
        ),
        pytest.param({"tokenizer": {"eos_token": None}, "base": {"eos_token_id": 5}}, [2, 5], id="no EOS"),
    ],
)
def test_it_does_not_stop(judged, given, stops):
    (finding,) = judged(**given)

    assert "<|im_end|>, does not stop the saved model" in finding.message
    assert '"eos_token": "<|im_end|>"' in finding.fix
    assert f'"eos_token_id": {stops}' in finding.fix
    assert "run/generation_config.json" in finding.fix


def test_what_the_fix_says_works(judged):
    fault = {"tokenizer": {"eos_token": "<|endoftext|>"}, "base": {"eos_token_id": 0}}
    assert judged(**fault)

    assert judged(**fault | {"tokenizer": {"eos_token": "<|im_end|>"}}) == []
    assert judged(**fault | {"generation": {"eos_token_id": [0, 2]}}) == []


@pytest.mark.parametrize(
    "template, raised",
    [
        pytest.param(PLAIN, NotApplicable, id="no token of its own"),
        pytest.param("{{ raise_exception('no') }}", NotAvailable, id="it refuses"),
        pytest.param("<|im_start|>", NotApplicable, id="it leaves the answer out"),
    ],
)
def test_a_template_that_says_nothing_of_an_end(judged, template, raised):
    with pytest.raises(raised):
        judged(template=template)


def test_without_a_template(judged, model):
    (model / "chat_template.jinja").unlink()

    with pytest.raises(NotApplicable, match="no chat template"):
        judged()

"""TOK-120: the model's generation config stops at the token that ends the answers."""

import json

import pytest

CODE = "TOK-120"


def edit(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("stops", [0, [0, 3]])
def test_a_model_that_stops_elsewhere_is_found_until_it_does_not(model, expect, stops):
    """The published Qwen2.5 base has it so: the tokenizer's EOS ends turns, the model's files name the document's."""
    edit(model / "generation_config.json", eos_token_id=stops)
    (finding,) = expect(CODE, "warned")

    assert (
        finding["message"] == "answers end with <|im_end|>, at which generation_config.json of the model does not stop"
    )
    assert finding["observed"] == f"eos_token_id {json.dumps(stops)}"
    listed = sorted({2, *([stops] if isinstance(stops, int) else stops)})
    assert finding["fix"] == f'Set "eos_token_id": {json.dumps(listed)} in generation_config.json.'

    edit(model / "generation_config.json", eos_token_id=listed)
    assert expect(CODE, "passed") == []


def test_the_config_counts_where_there_is_no_generation_config(model, expect):
    (model / "generation_config.json").unlink()
    assert expect(CODE, "passed") == []

    edit(model / "config.json", eos_token_id=0)
    assert "config.json of the model" in expect(CODE, "warned")[0]["message"]

    edit(model / "config.json", eos_token_id=None)
    assert expect(CODE, "not-applicable") == []


def test_other_pad_and_bos_ids_are_shown_and_no_fault(project, model):
    edit(model / "generation_config.json", bos_token_id=7, pad_token_id=8, eos_token_id=[2, 0])
    run = project.gate("-k", CODE)

    assert run.outcome(CODE) == "passed", run.screen
    assert run.check(CODE)["evidence"]["ids"]["generation_config.json"] == {"bos": 7, "eos": [2, 0], "pad": 8}

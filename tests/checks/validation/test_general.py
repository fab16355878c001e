"""POST-112 and POST-113: loss and distributions on general text, on literal values and on a run of the trainer."""

import json

import pytest

from preflight.checks.validation import general_loss, next_token_kl
from preflight.evaluation.budget import Sampled
from preflight.evaluation.general import General, Passage, Prompt
from preflight.findings import NotAvailable

NAN = float("nan")
UNEVEN = [0.3, 0.05, 0.2, 0.1, 0.25, 0.15, 0.3, 0.05]  # 0.175 in the mean
KINDS = ("facts", "code", "german", "code")


def general(rises, kl=0.05, prompts=(0.2, 0.1)):
    passages = [
        Passage(f"general.jsonl:{at}", KINDS[at % 4], f"Text {at}.", 2.0 + at / 10, 2.0 + at / 10 + rise, kl, 60)
        for at, rise in enumerate(rises)
    ]
    asked = [
        Prompt(f"general.jsonl:{60 + at}", f"Prompt {at}?", "An answer.", value) for at, value in enumerate(prompts)
    ]
    return General(Sampled(passages, len(passages)), Sampled(asked, len(asked)))


@pytest.mark.parametrize(
    "rises, limits",
    [
        pytest.param([0.0] * 8, {}, id="the base itself"),
        pytest.param([-0.08] * 8, {}, id="better, as sound runs are"),
        pytest.param([0.09] * 8, {}, id="a little worse for sure"),
        pytest.param([3.0, -0.1, -0.2, 0.1, 0.0, -0.1, 0.1, -0.2], {}, id="one passage that the model can't read"),
        pytest.param([0.9, -0.5, 0.7, -0.4, 0.8, -0.6, 0.5, -0.1], {}, id="worse, but as well by chance"),
        pytest.param([0.2] * 8, {"max_rise": 0.3}, id="allowed"),
    ],
)
def test_what_the_base_knew_is_kept(judge, rises, limits):
    check = general_loss.the_model_reads_general_text_as_well_as_its_base

    assert judge(check, limits, general=general(rises)) == []


def test_forgetting(judge):
    check = general_loss.the_model_reads_general_text_as_well_as_its_base

    overall, *worst = judge(check, general=general(UNEVEN))

    assert overall.message == "perplexity on general text has risen by 19%"
    assert overall.observed == "loss +0.175 ± 0.037 nats a token; most in facts +0.27, german +0.25, code +0.09"
    assert overall.expected == "perplexity up by at most 10%"
    assert "5-20 %" in overall.fix
    assert [finding.where for finding in worst] == [f"general.jsonl:{at}" for at in (0, 6, 4, 2, 5)]
    assert "'Text 0.'" in worst[0].message
    assert (worst[0].observed, worst[0].expected) == ("loss 2.30", "about the base's 2.00")


@pytest.mark.parametrize("rises", [[NAN] * 8, [0.0] * 7 + [NAN], [0.0] * 7 + [float("inf")]])
def test_a_loss_that_is_no_number(judge, rises):
    check = general_loss.the_model_reads_general_text_as_well_as_its_base

    (finding,) = judge(check, general=general(rises))

    assert "is no number" in finding.message
    assert "2-10x" in finding.fix


def test_too_few_passages_to_tell(judge):
    check = general_loss.the_model_reads_general_text_as_well_as_its_base

    with pytest.raises(NotAvailable, match="7 general passages can't be compared: have at least 8"):
        judge(check, general=general([1.0] * 7))


@pytest.mark.parametrize(
    "kl, prompts, limits",
    [
        pytest.param(0.0, [0.0] * 3, {}, id="the base itself"),
        pytest.param(0.05, [0.16] * 3, {}, id="a sound run"),
        pytest.param(0.2, [0.76] * 3, {}, id="a run that teaches a style"),
        pytest.param(0.2, [3.0, 0.1, 0.1, 0.1], {}, id="one prompt that goes another way"),
        pytest.param(0.2, [], {}, id="no prompts"),
        pytest.param(0.2, [3.0] * 3, {"max_prompt_kl": 4.0}, id="allowed"),
    ],
)
def test_near_the_base(judge, kl, prompts, limits):
    check = next_token_kl.the_model_still_speaks_like_its_base

    assert judge(check, limits, general=general([0.0] * 8, kl, prompts)) == []


@pytest.mark.parametrize(
    "kl, prompts, what",
    [
        pytest.param(0.71, [1.0, 0.4], ["general passages"], id="on passages"),
        pytest.param(0.2, [3.0, 2.0], ["neutral prompts"], id="on prompts"),
        pytest.param(0.9, [2.0, 3.0], ["general passages", "neutral prompts"], id="on both"),
        pytest.param(NAN, [NAN, NAN], ["general passages", "neutral prompts"], id="no number"),
    ],
)
def test_far_from_the_base(judge, kl, prompts, what):
    check = next_token_kl.the_model_still_speaks_like_its_base

    found = judge(check, general=general([0.0] * 8, kl, prompts))

    assert [finding.message for finding in found[: len(what)]] == [
        f"the next-token distributions on {name} are far from the base's" for name in what
    ]
    shown = found[len(what) :]
    assert len(shown) == 2
    if prompts == [2.0, 3.0]:
        assert [finding.where for finding in shown] == ["general.jsonl:61", "general.jsonl:60"]
        assert "'Prompt 1?'" in shown[0].message
        assert "3.00 nats" in shown[0].observed


def test_a_run_of_the_trainer(flown):
    flown.rows([{"text": f"The lamp number {n} burns for {n + 1} hours."} for n in range(8)], "own.jsonl")
    flown.set(evaluation={"general": "own.jsonl"})

    run = flown.gate("-k", "POST-112 or POST-113", stage="postflight")

    assert (run.outcome("POST-112"), run.outcome("POST-113")) == ("passed", "passed"), run.screen
    assert run.check("POST-112")["evidence"]["kinds"].keys() == {"text"}
    kept = json.loads((flown.folder / "run" / "postflight" / "general.json").read_text())
    assert [passage["key"] for passage in kept["passages"]] == [f"own.jsonl:{line}" for line in range(1, 9)]
    assert len(kept["prompts"]) == 20


def test_weights_that_have_lost_their_measure(fly):
    from safetensors.torch import load_file, save_file

    project = fly("full", lora=None, training={"max_steps": 6, "learning_rate": 1e-4, "save_strategy": "no"})
    file = project.folder / "run" / "model.safetensors"
    weights = load_file(file)
    weights["model.norm.weight"] *= 30
    save_file(weights, file, metadata={"format": "pt"})
    project.rows([{"text": f"The lamp number {n} burns for {n + 1} hours."} for n in range(8)], "own.jsonl")
    project.set(evaluation={"general": "own.jsonl"})

    run = project.gate("-k", "POST-112 or POST-113", stage="postflight")

    assert (run.outcome("POST-112"), run.outcome("POST-113")) == ("failed", "warned"), run.screen
    assert "has risen by" in run.findings("POST-112")[0]["message"]


def test_an_adapter_of_no_numbers(flown):
    from safetensors.torch import load_file, save_file

    file = flown.folder / "run" / "adapter_model.safetensors"
    save_file({name: value * float("nan") for name, value in load_file(file).items()}, file)

    run = flown.gate("-k", "POST-112 or POST-113", stage="postflight")

    assert (run.outcome("POST-112"), run.outcome("POST-113")) == ("failed", "warned"), run.screen
    assert run.findings("POST-112")[0]["message"] == "the loss on general text is no number"
    kept = json.loads((flown.folder / "run" / "postflight" / "general.json").read_text())
    assert kept["passages"][0]["tuned"] is None


def test_a_file_that_cannot_be_read(flown):
    flown.text('{"texts": "Hello there."}\n', "own.jsonl")
    flown.set(evaluation={"general": "own.jsonl"})

    run = flown.gate("-k", "POST-112", stage="postflight")

    assert run.outcome("POST-112") == "not-available"
    assert run.check("POST-112")["reason"] == "evaluation.general: own.jsonl:1: no key text; rename texts to text"

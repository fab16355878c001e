"""POST-116: which faults of unusual prompts are reported, and which the base excuses."""

import json

import pytest

from preflight.checks.validation.edge_cases import the_model_copes_with_unusual_prompts as check
from preflight.evaluation.budget import Sampled
from preflight.evaluation.edges import Edge, Said

SOUND = Said("Fine.", stopped=True)
LOOP = Said("no no no", fault="repeats itself")
CRASH = Said("", fault="crashes the model: IndexError: out of range", fatal=True)


def edge(tuned=SOUND, base=SOUND, own="", number=0):
    return Edge(f"case {number}", "a prompt", base, tuned, own)


@pytest.mark.parametrize(
    "edges, fires",
    [
        pytest.param([edge()] * 15, 0, id="sound"),
        pytest.param([edge(LOOP)] * 3 + [edge()] * 12, 0, id="three of fifteen"),
        pytest.param([edge(LOOP)] * 4 + [edge()] * 11, 4, id="four of fifteen"),
        pytest.param([edge(LOOP, LOOP)] * 15, 0, id="the base is as bad"),
        pytest.param([edge(LOOP)] * 5 + [edge(SOUND, LOOP)] * 2 + [edge()] * 8, 0, id="and worse elsewhere"),
        pytest.param([edge(LOOP)] * 6 + [edge(SOUND, LOOP)] * 2 + [edge()] * 7, 6, id="but not as often"),
        pytest.param([edge(CRASH)] + [edge()] * 14, 1, id="one crash"),
        pytest.param([edge(CRASH, LOOP)] + [edge()] * 14, 1, id="a crash where the base repeats itself"),
        pytest.param([edge(CRASH, CRASH)] + [edge()] * 14, 0, id="both crash"),
        pytest.param([edge(LOOP, CRASH)] + [edge()] * 14, 0, id="the base crashes"),
        pytest.param([edge(LOOP, own="own.jsonl:1")] + [edge()] * 14, 1, id="one of the user's own"),
        pytest.param([edge(LOOP, LOOP, own="own.jsonl:1")] + [edge()] * 14, 0, id="in which the base is as bad"),
        pytest.param([edge(CRASH)] + [edge(LOOP)] * 2 + [edge()] * 12, 1, id="a crash, and few others"),
    ],
)
def test_what_is_reported(judge, edges, fires):
    assert len(judge(check, edges=Sampled(edges, len(edges)))) == fires


def test_the_threshold(judge):
    edges = Sampled([edge(LOOP)] + [edge()] * 14, 15)

    assert len(judge(check, {"max_fraction": 0.0}, edges=edges)) == 1


def test_what_the_findings_say(judge):
    edges = [edge(LOOP, own="own.jsonl:4", number=1), edge(CRASH, number=2), *[edge()] * 3]

    mine, crash = judge(check, edges=Sampled(edges, 5))

    assert mine.where == "own.jsonl:4"
    assert mine.message == "case 1: the answer repeats itself: 'no no no'"
    assert mine.observed == "prompt 'a prompt'; of 5 cases 2 are worse than the base's, 0 better"
    assert crash.message == "case 2: the prompt crashes the model: IndexError: out of range"


def test_the_cases_of_a_run(flown):
    flown.set(evaluation={"max_new_tokens": 8, "edge_cases": "own.jsonl"})
    flown.rows([{"name": "mine", "prompt": "Lamp?"}], "own.jsonl")

    run = flown.gate("-k", "POST-116", stage="postflight")

    assert run.outcome("POST-116") == "passed", run.screen
    assert run.check("POST-116")["evidence"]["cases"] == 17
    rows = json.loads((flown.folder / "run" / "postflight" / "edges.json").read_text(encoding="utf-8"))["cases"]
    assert [row["name"] for row in rows][:2] == ["mine", "empty"]


def test_cases_that_cannot_be_read(flown):
    flown.set(evaluation={"edge_cases": "own.jsonl"})
    flown.rows([{"name": "mine"}], "own.jsonl")

    run = flown.gate("-k", "POST-116", stage="postflight")

    assert run.outcome("POST-116") == "not-available", run.screen
    assert run.check("POST-116")["reason"].startswith("evaluation.edge_cases: own.jsonl:1: a case is")


def test_a_model_whose_weights_are_no_numbers(flown):
    from safetensors.torch import load_file, save_file

    path = flown.folder / "run" / "adapter_model.safetensors"
    save_file({name: value * float("nan") for name, value in load_file(path).items()}, path)
    flown.set(evaluation={"max_new_tokens": 8})

    run = flown.gate("-k", "POST-116", stage="postflight")

    assert run.outcome("POST-116") == "warned", run.screen
    assert "makes logits that are no numbers" in run.findings("POST-116")[0]["message"]

"""From the artefacts of a postflight to what its report shows."""

import json
import math

import pytest

from preflight.config import load_config
from preflight.evaluation.scores import key_of
from preflight.report import document
from preflight.report.html import render_html
from preflight.report.schema import report_schema

jsonschema = pytest.importorskip("jsonschema")

HOSTILE = "<script>alert(1)</script> \u202egpj \x1b[31m {{ 7 * 7 }}"


def sample(number, **changes):
    texts = {key: f"{key} {number}" for key in ("prompt", "expected", "base", "tuned")}
    tokens = {"expected_tokens": 5, "base_tokens": 90, "tuned_tokens": 5 + number}
    return {"where": f"validation row {number}", **texts, "stopped": True, **tokens, **changes}


def metric(before, after, title="Accuracy", **changes):
    side = {"value": 0.5, "low": 0.4, "high": 0.6}
    known = {
        "name": "accuracy",
        "title": title,
        "higher_is_better": True,
        "top": 1.0,
        "n": 9,
        "wanted": 9,
        "mean": True,
    }
    keyed = [{key_of(f"prompt {number}"): value for number, value in enumerate(values)} for values in (before, after)]
    sides = {"base": side, "tuned": side, "difference": side, "notes": {}}
    return {**known, **sides, "base_examples": keyed[0], "examples": keyed[1], **changes}


def passage(number, base, tuned, **changes):
    return {"key": f"general.jsonl:{number}", "kind": "code", "text": f"text {number}", "base": base, "tuned": tuned,
            "kl": 0.1, "tokens": 9, **changes}  # fmt: skip


@pytest.fixture
def draw(project):
    """Pictures of artefacts, by the name of their file; checked against the schema, and drawn."""
    folder = project.folder / "run" / "postflight"
    folder.mkdir(parents=True)

    def drawn(**artefacts):
        for name, value in artefacts.items():
            text = value if isinstance(value, str) else json.dumps(value)
            (folder / f"{name}.json").write_text(text, encoding="utf-8")
        found = document.pictures(load_config(project.write()), "postflight")
        schema = report_schema()
        jsonschema.validate(document.finite(found), {**schema["$defs"]["pictures"], "$defs": schema["$defs"]})
        assert "<main" in render_html({"verdict": "green", "checks": [], "pictures": found})
        return found

    return drawn


def test_nothing_there_draws_nothing(draw):
    assert draw() == {}


def test_all_that_was_asked_is_shown(draw):
    found = draw(samples=[sample(number) for number in range(9)])

    assert len(found["samples"]) == 9
    assert found["samples"][0] == {
        "where": "validation row 0",
        "prompt": "prompt 0",
        "expected": "expected 0",
        "base": "base 0",
        "tuned": "tuned 0",
        "stopped": True,
    }
    assert set(found) == {"samples", "answer_lengths"}


def test_lengths_share_their_bins(draw):
    lengths = draw(samples=[sample(number) for number in range(9)])["answer_lengths"]

    assert lengths["edges"][0] == 5
    assert lengths["edges"][-1] > 90
    assert [sum(lengths[kind]) for kind in ("expected", "base", "tuned")] == [9, 9, 9]
    assert lengths["expected"][0] == 9
    assert len(lengths["base"]) <= 31


@pytest.mark.parametrize("tokens", [[0], [128] * 5, [1, 2], [0, 10_000], list(range(128))])
def test_no_length_falls_out(draw, tokens):
    rows = [sample(0, expected_tokens=n, base_tokens=n, tuned_tokens=n) for n in tokens]
    lengths = draw(samples=rows)["answer_lengths"]

    assert sum(lengths["tuned"]) == len(tokens)
    assert len(lengths["edges"]) == len(lengths["tuned"]) + 1 <= 33


def test_answers_of_an_older_run_have_no_lengths(draw):
    assert set(draw(samples=[{"where": "x", "prompt": "a", "expected": "b", "base": "c", "tuned": "d"}])) == {"samples"}


def test_scores_come_without_their_examples(draw):
    (score,) = draw(scores={"metrics": [metric([1.0], [1.0], top=None)], "problems": {}})["scores"]

    assert set(score) == {"name", "title", "higher_is_better", "n", "wanted", "base", "tuned", "difference"}


def test_a_score_that_is_no_number_leaves_a_gap(draw):
    nothing = {"value": None, "low": None, "high": math.nan}
    scores = draw(scores={"metrics": [metric([1.0], [1.0], tuned=nothing), metric([1.0], [1.0])]})["scores"]

    assert [score["tuned"] for score in scores] == [{}, {"value": 0.5, "low": 0.4, "high": 0.6}]


def test_what_got_worse_stands_first_with_both_answers(draw):
    found = draw(
        samples=[sample(number) for number in range(4)],
        scores={
            "metrics": [
                metric([1.0, 1.0, 0.0, 0.5], [0.5, 0.9, 1.0, None]),
                metric([2.0, 2.0, 2.0, 2.0], [2.0, 8.0, 1.0, 2.0], "Errors", higher_is_better=False, top=None),
            ]
        },
    )

    assert [row["where"] for row in found["worse"]] == ["validation row 1", "validation row 0"]
    first = found["worse"][0]
    assert (first["base"], first["tuned"], first["expected"]) == ("base 1", "tuned 1", "expected 1")
    assert first["scores"] == [
        {"metric": "Accuracy", "base": 1.0, "tuned": 0.9},
        {"metric": "Errors", "base": 2.0, "tuned": 8.0},
    ]


def test_where_nothing_got_worse_nothing_is_shown(draw):
    assert "worse" not in draw(samples=[sample(0)], scores={"metrics": [metric([0.5], [0.5])]})


def test_general_texts_that_it_reads_worse(draw):
    passages = [passage(n, 2.0, 2.0 + rise) for n, rise in enumerate((0.1, -0.5, 0.9, 0.0, 0.2, 0.3, 0.4, 0.5))]
    kls = (0.1, None, 0.7, 0.0001)
    prompts = [{"key": f"c:{n}", "prompt": f"p {n}", "base": "b", "kl": kl} for n, kl in enumerate(kls)]
    found = draw(general={"passages": [*passages, passage(9, 2.0, None)], "prompts": prompts})

    assert [text["text"] for text in found["general_texts"]] == ["text 2", "text 7", "text 6", "text 5", "text 4"]
    assert [prompt["prompt"] for prompt in found["general_prompts"]] == ["p 2", "p 0"]


def test_a_rise_that_is_nothing_is_not_shown(draw):
    prompts = [{"key": "c:1", "prompt": "p", "base": "b", "kl": 0.001}]

    assert draw(general={"passages": [passage(0, 2.0, 2.001)], "prompts": prompts}) == {}


def test_edge_cases_with_a_fault_stand_first(draw):
    cases = [
        {"name": "empty", "prompt": "", "base": "Hi", "tuned": "Hi", "stopped": True, "fault": None},
        {"name": "long", "prompt": "x", "base": "Hi", "tuned": "", "stopped": False, "fault": "says nothing"},
    ]
    found = draw(edges={"cases": cases})["edge_cases"]

    assert [(case["name"], case.get("fault")) for case in found] == [("long", "says nothing"), ("empty", None)]


@pytest.mark.parametrize("name", ["samples", "scores", "general", "edges"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{]",
        "null",
        "[]",
        "{}",
        "[1]",
        "[[]]",
        '{"metrics": 1, "cases": 1, "passages": 1, "prompts": 1}',
        '{"metrics": [{}], "cases": [1], "passages": [{}], "prompts": []}',
        '[{"prompt": 1, "tuned": []}]',
        '{"metrics": [{"name": "a", "title": 1, "higher_is_better": "x", "base": 1, "tuned": 2}]}',
        '{"passages": [{"text": 1, "base": 1.0, "tuned": 2.0}], "prompts": [{"prompt": 1, "kl": "x"}]}',
        '{"cases": [{"name": 1, "prompt": {}, "fault": 7}]}',
        "\x00",
    ],
)
def test_a_damaged_artefact_costs_its_picture_alone(draw, name, text):
    good = {} if name == "samples" else {"samples": [sample(0)]}
    found = draw(**good, **{name: text})

    assert set(found) - {"samples", "answer_lengths"} == set()
    assert ("samples" in found) == bool(good)


def test_hostile_text_is_text(draw):
    found = draw(
        samples=[sample(0, prompt="prompt 0", tuned=HOSTILE, base=HOSTILE, where=HOSTILE)],
        scores={"metrics": [metric([1.0], [0.0], HOSTILE)]},
        general={"passages": [passage(0, 1.0, 2.0, text=HOSTILE, kind=HOSTILE)],
                 "prompts": [{"key": HOSTILE, "prompt": HOSTILE, "base": HOSTILE, "kl": 0.5}]},
        edges={"cases": [dict.fromkeys(("name", "prompt", "base", "tuned", "fault"), HOSTILE)]},
    )  # fmt: skip
    page = render_html({"verdict": "green", "checks": [], "pictures": found})

    assert len(found) == 7
    assert page.count("<script>") == 1
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert page.count("&lt;script&gt;alert(1)") > 12
    assert page.count("{{ 7 * 7 }}") > 12

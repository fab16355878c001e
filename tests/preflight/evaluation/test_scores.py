"""Scores of both models on literal answers, and what is written of them."""

import json
from types import SimpleNamespace

import pytest

from preflight.config.evaluation import Evaluation
from preflight.evaluation.budget import Sampled
from preflight.evaluation.generate import Answer, Reply
from preflight.evaluation.loss import HeldOut
from preflight.evaluation.scores import key_of, scores_of
from preflight.findings import NotApplicable, NotAvailable
from preflight.report.document import finite

LOSSES = HeldOut([2.0, 3.0], [1.0, 1.5], [10, 30])


def answer(number, base, tuned, expected, columns=None):
    sides = Reply(base, [], True), Reply(tuned, [], True)
    return Answer(f"row {number}", f"prompt {number}", expected, 3, *sides, columns or {})


def settings(task="qa", folder=None, **evaluation):
    return SimpleNamespace(task=SimpleNamespace(type=task), evaluation=Evaluation(**evaluation), folder=folder)


def refused(kind, reason="there is nothing"):
    def refuse():
        raise kind(reason)

    return refuse


FOUND = Sampled([answer(number, "no", "the Broncos" if number else "no", "Broncos") for number in range(8)], 20)


def test_both_models_side_by_side():
    scores = scores_of(settings(), lambda: FOUND, refused(NotApplicable))
    one = scores.compared["exact_match"]

    assert list(scores.compared) == ["token_f1", "exact_match"]
    assert (one.base.value, one.tuned.value, one.difference.value) == (0, 7 / 8, 7 / 8)
    assert one.difference.low > 0
    assert (one.n, one.wanted, one.gain, one.worse) == (8, 20, 7 / 8, False)
    assert str(one) == "Exact match 87.5 % (base 0.0 %)"
    assert one.change.startswith("+87.5 points, 95 % interval +")


def test_where_less_is_better():
    one = scores_of(settings(metrics=["perplexity"]), refused(NotApplicable), lambda: LOSSES).compared["perplexity"]

    assert one.tuned.value < one.base.value
    assert one.gain == one.base.value - one.tuned.value > 0
    assert not one.worse


def test_a_score_that_is_no_number_is_worse():
    losses = HeldOut([2.0] * 8, [float("nan")] * 8, [10] * 8)
    one = scores_of(settings(metrics=["perplexity"]), refused(NotApplicable), lambda: losses).compared["perplexity"]

    assert one.worse


def test_what_is_written():
    written = scores_of(settings("style-transfer"), lambda: FOUND, lambda: LOSSES).as_json()
    text = json.dumps(finite(written), allow_nan=False)

    named = {one["name"]: one for one in json.loads(text)["metrics"]}
    assert set(named) == {"rouge_l", "chrf", "bleu", "perplexity"}
    assert [name for name, one in named.items() if one["mean"]] == ["rouge_l", "chrf"]
    assert named["rouge_l"]["examples"].keys() == {key_of(f"prompt {number}") for number in range(8)}
    assert named["rouge_l"]["examples"][key_of("prompt 1")] == pytest.approx(2 / 3)
    assert named["perplexity"]["examples"] == {}
    assert named["bleu"]["tuned"].keys() == {"value", "low", "high"}
    assert (named["bleu"]["top"], named["bleu"]["n"], named["bleu"]["wanted"]) == (100, 8, 20)


def test_losses_that_are_infinite_are_written_as_null():
    losses = HeldOut([2.0] * 2, [float("inf")] * 2, [10] * 2)
    written = scores_of(settings(metrics=["perplexity"]), refused(NotApplicable), lambda: losses).as_json()

    assert json.loads(json.dumps(finite(written), allow_nan=False))["metrics"][0]["tuned"]["value"] is None


def test_the_key_of_a_prompt_that_stands_twice_has_the_mean():
    twice = [answer(0, "", "yes", "yes"), answer(0, "", "no", "yes"), answer(1, "", "yes", "yes")]
    found = scores_of(settings(), lambda: Sampled(twice, 3), refused(NotApplicable)).compared["exact_match"]

    assert found.examples == {key_of("prompt 0"): 0.5, key_of("prompt 1"): 1}


def test_half_a_surrogate_pair_has_a_key():
    assert len(key_of("\ud800")) == 16


def test_the_thinking_of_both_sides_is_left_out():
    found = [answer(0, "", "<think>No? Yes.</think>\n\nyes", "<think>Hm.</think>yes")]

    assert scores_of(settings(), lambda: Sampled(found, 1), refused(NotApplicable)).compared["exact_match"].n == 1


def test_without_losses_the_others_of_the_task_remain():
    scores = scores_of(settings("style-transfer"), lambda: FOUND, refused(NotApplicable))

    assert set(scores.compared) == {"rouge_l", "chrf", "bleu"}
    assert not scores.problems


def test_a_metric_that_is_asked_for_and_has_nothing_is_a_problem():
    scores = scores_of(settings(metrics=["bleu", "perplexity"]), lambda: FOUND, refused(NotApplicable))

    assert set(scores.compared) == {"bleu"}
    assert scores.problems == {"perplexity": "there is nothing"}


def test_nothing_held_out():
    with pytest.raises(NotApplicable, match="there is nothing"):
        scores_of(settings("style-transfer"), refused(NotApplicable), refused(NotApplicable))


def test_without_a_model_every_metric_says_why():
    scores = scores_of(settings(), refused(NotAvailable, "no adapter"), refused(NotAvailable, "no adapter"))

    assert scores.problems == {"token_f1": "no adapter", "exact_match": "no adapter"}


def test_a_function_of_ones_own(tmp_path):
    (tmp_path / "metrics.py").write_text("def short(answers, expected): return [len(a) < 5 for a in answers]")

    scores = scores_of(settings(metrics=["metrics.py:short"], folder=tmp_path), lambda: FOUND, refused(NotApplicable))

    assert scores.compared["metrics.py:short"].tuned.value == 1 / 8
    assert scores.compared["metrics.py:short"].base.value == 1

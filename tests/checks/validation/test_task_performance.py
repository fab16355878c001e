"""POST-110 and POST-111: what is demanded of metrics, on literal answers of both models."""

import json
from types import SimpleNamespace

import pytest

from preflight.checks.validation import secondary_metrics, task_performance
from preflight.config.evaluation import Evaluation
from preflight.evaluation.budget import Sampled
from preflight.evaluation.generate import Answer, Reply
from preflight.evaluation.loss import HeldOut
from preflight.evaluation.scores import scores_of
from preflight.findings import NotApplicable, NotAvailable

PLAIN = "they go through the old park every day and come home late at night"
LOSSES = HeldOut([2.0] * 16, [1.5] * 16, [10] * 16)


def held_out(tuned, base, expected=None, wanted=None):
    """Answers of both models, and those expected; `yes` if none are given."""
    rows = zip(tuned, base, expected or ["yes"] * len(tuned), strict=True)
    found = [
        Answer(f"row {number}", f"prompt {number}", right, 3, Reply(before, [], True), Reply(after, [], True))
        for number, (after, before, right) in enumerate(rows)
    ]
    return Sampled(found, wanted or len(found))


@pytest.fixture
def given(tmp_path):
    """The fixtures that both checks ask for, of literal answers."""

    def made(answers, task="qa", losses=LOSSES, **evaluation):
        config = SimpleNamespace(
            task=SimpleNamespace(type=task),
            evaluation=Evaluation(**evaluation),
            folder=tmp_path,
            where=lambda key: f"config.yaml: {key}",
        )
        return {"config": config, "scores": scores_of(config, lambda: answers, lambda: losses)}

    return made


@pytest.fixture
def required(judge, given):
    return lambda *args, limits=None, **more: judge(
        task_performance.the_model_does_its_task, limits, **given(*args, **more)
    )


@pytest.fixture
def recommended(judge, given):
    return lambda *args, limits=None, **more: judge(
        secondary_metrics.no_secondary_metric_is_worse_than_the_base_models, limits, **given(*args, **more)
    )


def right(count, total=16):
    return ["yes"] * count + ["no"] * (total - count)


@pytest.mark.parametrize(
    "demand, tuned, base, problem",
    [
        pytest.param({"min": 0.75}, 12, 0, None, id="just enough"),
        pytest.param({"min": 0.75}, 11, 0, "too low", id="one too few"),
        pytest.param({"min": 0.75}, 11, 16, "too low", id="whatever the base says"),
        pytest.param({"min": 0.5}, 9, 16, None, id="worse than the base, which nobody asked about"),
        pytest.param({"max": 0.5}, 9, 0, "too high", id="too much"),
        pytest.param({"max": 0.5}, 8, 0, None, id="just not too much"),
        pytest.param({"min_gain": 0.25}, 8, 4, None, id="just enough of a gain"),
        pytest.param({"min_gain": 0.25}, 7, 4, "not enough of a gain", id="not quite"),
        pytest.param({"min_gain": 0.0}, 4, 4, None, id="no gain, and none was asked for"),
        pytest.param({"min_gain": -0.1}, 15, 16, None, id="a small loss that is allowed"),
        pytest.param(None, 16, 16, None, id="as good as the base"),
        pytest.param(None, 4, 4, None, id="as bad as the base"),
        pytest.param(None, 12, 13, None, id="a little worse, which may be chance"),
        pytest.param(None, 2, 14, "worse than the base model's", id="much worse"),
        pytest.param({"max_drop": 0.1}, 2, 14, "worse than the base model's", id="a drop is of another run"),
    ],
)
def test_what_is_demanded(required, demand, tuned, base, problem):
    findings = required(held_out(right(tuned), right(base)), metrics={"exact_match": demand})

    assert [finding.message for finding in findings] == (
        [f"Exact match is {problem}: {tuned / 16:.1%}, base {base / 16:.1%}".replace("%", " %")] if problem else []
    )
    for finding in findings:
        assert finding.where == "config.yaml: evaluation.metrics.exact_match"
        assert "16 examples" in finding.observed
        assert "95 % interval" in finding.observed


def test_each_demand_that_is_not_met_is_a_finding(required):
    findings = required(
        held_out(right(4), right(4)),
        metrics={"exact_match": {"min": 0.5, "min_gain": 0.1}, "token_f1": {"min": 0.9}, "chrf": None},
    )

    assert [finding.message.partition(" is ")[0] for finding in findings] == ["Exact match"] * 2 + ["F1 of words"]


def test_where_less_is_better(required):
    metrics = {"perplexity": {"max": 5.0, "min_gain": 2.0}}

    assert required(held_out(right(4), right(4)), metrics=metrics) == []
    worse = HeldOut([1.5] * 16, [2.0] * 16, [10] * 16)
    findings = required(held_out(right(4), right(4)), losses=worse, metrics=metrics)
    assert [finding.message for finding in findings] == [
        "Perplexity is too high: 7.389, base 4.482",
        "Perplexity is not enough of a gain: 7.389, base 4.482",
    ]


def test_a_score_that_is_no_number_meets_nothing(required):
    broken = HeldOut([1.5] * 16, [float("nan")] * 16, [10] * 16)
    for demand in ({"min": 1.0}, {"max": 9.0}, {"min_gain": 0.1}, None):
        findings = required(held_out(right(4), right(4)), losses=broken, metrics={"perplexity": demand})
        assert len(findings) == 1


@pytest.mark.parametrize(
    "task, tuned, base, expected, fires",
    [
        pytest.param("qa", right(2), right(14), None, True, id="qa"),
        pytest.param("classification", right(2), right(14), right(15), True, id="classification"),
        pytest.param("reasoning", ["#### 2"] * 16, ["#### 1"] * 16, ["1 is\n#### 1"] * 16, True, id="reasoning"),
        pytest.param("style-transfer", ["nothing"] * 16, [PLAIN] * 16, [PLAIN] * 16, True, id="free text"),
        pytest.param("qa", right(14), right(2), None, False, id="a better one"),
        pytest.param("style-transfer", [PLAIN[:60]] * 16, [PLAIN] * 16, [PLAIN] * 16, False, id="a little less shared"),
    ],
)
def test_without_demands_the_tasks_own_metric_decides(required, task, tuned, base, expected, fires):
    findings = required(held_out(tuned, base, expected), task=task)

    assert len(findings) == fires


def test_a_metric_of_shared_words_that_is_named_must_not_fall_at_all(required):
    answers = held_out([PLAIN[:60]] * 16, [PLAIN] * 16, [PLAIN] * 16)

    assert len(required(answers, task="style-transfer", metrics=["rouge_l"])) == 1
    assert required(answers, task="style-transfer", limits={"max_overlap_loss": 0.0})


def test_answers_that_are_no_class_are_counted(required):
    chatty = ["The answer would be yes, I think."] * 14 + ["yes", "no"]

    (finding,) = required(held_out(chatty, right(16), right(14)), task="classification")

    assert finding.fix.startswith("14 of 16 answers have no class: see samples in the report.")


@pytest.mark.parametrize("count", [1, 7])
def test_too_few_to_tell(required, count):
    few = held_out(right(0, count), right(count, count))

    with pytest.raises(NotAvailable, match=rf"{count} held-out examples? can't tell.* at least 8"):
        required(few, metrics={"exact_match": {"min": 0.5}})
    assert required(few, metrics={"exact_match": {"min": 0.5}}, limits={"min_examples": count})


def test_a_limit_within_the_interval_is_judged_and_said(given):
    said = []
    fixtures = given(held_out(right(12), right(0)), metrics={"exact_match": {"min": 0.75}, "chrf": {"min": 1.0}})
    limits = SimpleNamespace(min_examples=8, max_overlap_loss=0.2)

    task_performance.the_model_does_its_task(
        evidence=lambda text, **values: said.append((text, values)), limits=limits, **fixtures
    )

    ((text, values),) = said
    assert text.endswith(", 16 examples; the limit lies within the interval of Exact match")
    assert values["exact_match"]["tuned"][0] == 0.75
    assert values["exact_match"]["examples"] == 16


@pytest.mark.parametrize(
    "code, reason",
    [
        pytest.param("def score(answers, expected): return 1 / 0", "raised ZeroDivisionError", id="raises"),
        pytest.param("def score(answers, expected): return 'fine'", "returned 'fine'", id="returns nonsense"),
        pytest.param("def other(answers, expected): return 1", "has no function score", id="has another name"),
    ],
)
def test_a_function_of_ones_own_that_fails(required, tmp_path, code, reason):
    (tmp_path / "metrics.py").write_text(code)

    with pytest.raises(NotAvailable, match=rf"metrics\.py.*{reason}"):
        required(held_out(right(9), right(9)), metrics=["metrics.py:score"])


def test_what_fails_hides_no_finding(required):
    (finding,) = required(held_out(right(1), right(9)), metrics={"nowhere.py:score": None, "exact_match": {"min": 0.5}})

    assert "Exact match is too low" in finding.message


def test_a_function_of_ones_own(required, tmp_path):
    (tmp_path / "metrics.py").write_text("def polite(answers, expected): return ['yes' in a for a in answers]")

    assert required(held_out(right(9), right(4)), metrics={"metrics.py:polite": {"min": 0.5, "min_gain": 0.1}}) == []
    (finding,) = required(held_out(right(7), right(4)), metrics={"metrics.py:polite": {"min": 0.5}})
    assert finding.message == "polite is too low: 0.4375, base 0.25"


# --- POST-111 ---------------------------------------------------------------------------------------------------------

# Accuracy gains where F1 loses: the rare class is never answered any more.
RARE = ["yes"] * 12 + ["no"] * 4


def test_a_class_that_is_never_answered_any_more(required, recommended):
    answers = held_out(["yes"] * 16, ["no"] * 5 + ["yes"] * 7 + ["no"] * 4, RARE)

    assert required(answers, task="classification") == []
    messages = [finding.message for finding in recommended(answers, task="classification")]
    assert [message.partition(" is ")[0] for message in messages] == ["Precision (macro)", "Recall (macro)"]


def test_shared_words_warn_before_they_block(required, recommended):
    answers = held_out([PLAIN[:60]] * 16, [PLAIN] * 16, [PLAIN] * 16)

    assert required(answers, task="style-transfer") == []
    messages = [finding.message for finding in recommended(answers, task="style-transfer")]
    assert [message.partition(" is ")[0] for message in messages] == ["ROUGE-L", "chrF", "BLEU"]


@pytest.mark.parametrize("task", ["qa", "style-transfer", "classification"])
def test_nothing_got_worse(recommended, task):
    assert recommended(held_out(right(9), right(7), right(8)), task=task) == []


def test_a_config_that_names_its_metrics_has_no_others(recommended):
    with pytest.raises(NotApplicable, match="POST-110 judges them"):
        recommended(held_out(right(1), right(15)), metrics=["exact_match"])


def test_a_task_with_one_metric_has_no_others(recommended):
    with pytest.raises(NotApplicable, match="no other metric"):
        recommended(held_out(["1"] * 8, ["1"] * 8, ["1"] * 8), task="reasoning")


def test_too_few_for_the_others(recommended):
    with pytest.raises(NotAvailable, match="have at least 8"):
        recommended(held_out(right(1, 4), right(2, 4)))


# --- on a run that was really made ------------------------------------------------------------------------------------


def test_a_real_run(flown):
    (flown.folder / "metrics.py").write_text("def words(answers, expected): return [len(a.split()) for a in answers]")

    run = flown.gate("-k", "POST-110 or POST-111", stage="postflight")
    assert run.outcome("POST-110") == "passed", run.screen
    assert run.outcome("POST-111") in ("passed", "warned"), run.screen
    written = json.loads((flown.folder / "run" / "postflight" / "scores.json").read_text())
    assert [one["name"] for one in written["metrics"]] == ["rouge_l", "chrf", "bleu", "perplexity"]
    assert {one["n"] for one in written["metrics"]} == {16}
    assert run.check("POST-110")["evidence"]["rouge_l"]["examples"] == 16

    flown.set(evaluation={"metrics": {"rouge_l": {"min": 0.99}, "metrics.py:words": {"max": 1000.0}}})
    run = flown.gate("-k", "POST-110 or POST-111", stage="postflight")
    assert run.outcome("POST-110") == "failed", run.screen
    assert [finding["message"].partition(":")[0] for finding in run.findings("POST-110")] == ["ROUGE-L is too low"]
    assert run.outcome("POST-111") == "not-applicable"

    flown.set(evaluation={"metrics": ["metrics.py:nothing"]})
    run = flown.gate("-k", "POST-110", stage="postflight")
    assert run.outcome("POST-110") == "not-available"
    assert "metrics.py has no function nothing" in run.check("POST-110")["reason"]

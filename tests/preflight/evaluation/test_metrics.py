"""The metrics against the libraries they come from, and against examples worked out by hand."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preflight.config.evaluation import Evaluation
from preflight.evaluation.bootstrap import value_of
from preflight.evaluation.metrics import DEFAULTS, METRICS, Texts, metric_of, refusal, spoken
from preflight.evaluation.metrics.classes import NONE, classified
from preflight.evaluation.metrics.overlap import Words
from preflight.evaluation.metrics.perplexity import perplexity
from preflight.evaluation.metrics.reasoning import final
from preflight.evaluation.metrics.squad import same, shared
from preflight.findings import NotAvailable

LABELS = ["bad", "fair", "good"]
SENTENCES = [
    ("the cat sat on the mat", "the cat sat on a mat"),
    ("he reads books because he is interested in world history", "he read the book because he was interested"),
    ("it is a guide to action", "it is a guide to action which ensures that the military obeys"),
    ("yes", "no"),
    ("", "something was expected here"),
    ("Größe und Höhe", "Größe oder Höhe"),
]


def texts(answers, expected, **settings):
    return Texts(answers, expected, [{}] * len(answers), Evaluation(**settings))


def value(name, answers, expected, **settings):
    return value_of(METRICS[name].measure(texts(answers, expected, **settings)), len(answers))


def resampled(measured, picked, count):
    return float(measured.score(np.bincount(picked, minlength=count)[None])[0])


# --- classification ---------------------------------------------------------------------------------------------------

pairs = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from([*LABELS, "no idea"])), min_size=1, max_size=30)


@given(pairs=pairs, picks=st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
@settings(deadline=None, max_examples=60)
def test_classes_as_scikit_learn_scores_them_also_on_resamples(pairs, picks):
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    expected, answers = map(list, zip(*pairs, strict=True))
    picked = [pick % len(pairs) for pick in picks]
    for numbers in (range(len(pairs)), picked):
        true, said = [expected[n] for n in numbers], [answers[n] for n in numbers]
        present = sorted({*true, *said} - {"no idea"})
        wanted = precision_recall_fscore_support(true, said, labels=present, average="macro", zero_division=0)[:3]
        wanted = dict(zip(("precision", "recall", "f1"), wanted, strict=True)) | {
            "accuracy": accuracy_score(true, said)
        }
        for name, score in wanted.items():
            measured = METRICS[name].measure(texts(answers, expected, labels=LABELS))
            assert resampled(measured, list(numbers), len(pairs)) == pytest.approx(score)
            if numbers is not picked:
                assert value_of(measured, len(pairs)) == pytest.approx(score)


@pytest.mark.parametrize(
    "answer, labels, found",
    [
        pytest.param("good", ["bad", "good"], 1, id="as it is"),
        pytest.param(" Good.\n", ["bad", "good"], 1, id="case, blanks and a full stop"),
        pytest.param('"**good**"', ["bad", "good"], 1, id="quotes and bold"),
        pytest.param("It is good.", ["bad", "good"], NONE, id="a sentence about it is no class"),
        pytest.param("not good", ["bad", "good"], NONE, id="nor is what holds its name"),
        pytest.param("", ["bad", "good"], NONE, id="nothing"),
        pytest.param("C++", ["C", "C++", "C#"], 1, id="signs that are part of a class"),
        pytest.param("C#.", ["C", "C++", "C#"], 2, id="and a full stop"),
        pytest.param(":)", [":(", ":)"], 1, id="nothing but signs"),
        pytest.param("+", ["-", "+"], 1, id="a single sign"),
        pytest.param("GROSS", ["klein", "groß"], 1, id="case of any language"),
    ],
)
def test_the_class_in_an_answer(answer, labels, found):
    assert classified(texts([answer], [labels[0]], labels=labels))[1] == [found]


def test_classes_are_those_of_the_expected_answers():
    measured = METRICS["accuracy"].measure(texts(["Yes", "no.", "maybe", "yes"], ["yes", "Yes.", "no", "no"]))

    assert list(measured.each) == [1, 0, 0, 0]
    assert measured.notes == {"no class": 1}


@pytest.mark.parametrize(
    "expected, labels, reason",
    [
        pytest.param([f"class {n}" for n in range(21)] * 2, None, "21 different answers of 42", id="too many"),
        pytest.param(["one", "two", "three", "four"], None, "4 different answers of 4", id="each another"),
        pytest.param(["good", "awful"], ["good", "bad"], "example 1 expects 'awful'.*add it", id="not declared"),
    ],
)
def test_no_set_of_classes(expected, labels, reason):
    with pytest.raises(NotAvailable, match=reason):
        value("f1", expected, expected, labels=labels)


def test_many_classes_that_are_declared():
    names = [f"class {number}" for number in range(40)]

    assert value("f1", names, names, labels=names) == 1


# --- free text --------------------------------------------------------------------------------------------------------


def test_bleu_as_sacrebleu_scores_it_also_on_resamples():
    from sacrebleu.metrics import BLEU

    answers, expected = map(list, zip(*SENTENCES, strict=True))
    measured = METRICS["bleu"].measure(texts(answers, expected))
    random = np.random.default_rng(0)
    for picked in (range(6), *random.integers(0, 6, (20, 6)).tolist()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = BLEU().corpus_score([answers[n] for n in picked], [[expected[n] for n in picked]]).score
        assert resampled(measured, list(picked), 6) == pytest.approx(wanted, abs=1e-9)


def test_chrf_is_the_mean_of_what_sacrebleu_scores():
    from sacrebleu.metrics import CHRF

    answers, expected = map(list, zip(*SENTENCES, strict=True))

    wanted = [CHRF().sentence_score(*pair).score for pair in zip(answers, [[it] for it in expected], strict=True)]
    assert value("chrf", answers, expected) == pytest.approx(np.mean(wanted))


@pytest.mark.parametrize("name, kind", [("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")])
def test_rouge_as_rouge_score_scores_it(name, kind):
    from rouge_score.rouge_scorer import RougeScorer

    answers, expected = map(list, zip(*SENTENCES[:5], strict=True))
    scorer = RougeScorer([kind])

    wanted = [scorer.score(right, said)[kind].fmeasure for said, right in zip(answers, expected, strict=True)]
    assert value(name, answers, expected) == pytest.approx(np.mean(wanted))


@given(text=st.text(st.characters(codec="ascii"), max_size=60))
def test_words_of_english_are_those_of_rouge_score(text):
    from rouge_score.tokenizers import DefaultTokenizer

    assert Words().tokenize(text) == DefaultTokenizer(use_stemmer=False).tokenize(text)


@pytest.mark.parametrize(
    "text, words",
    [
        pytest.param("Größe über alles", 3, id="German"),
        pytest.param("Кот сидит", 2, id="Russian"),
        pytest.param("猫が座った", 5, id="Japanese"),
        pytest.param("고양이가 앉았다", 2, id="Korean"),
        pytest.param("पूर्व प्रधानमन्त्री", 2, id="Nepali"),
        pytest.param("القط جلس", 2, id="Arabic"),
    ],
)
def test_words_of_other_scripts(text, words):
    assert len(Words().tokenize(text)) == words
    assert value("rouge_l", [text], [text]) == 1


# --- questions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer, expected, exact, f1",
    [
        pytest.param("The Denver Broncos!", "denver broncos", 1, 1, id="case, article, punctuation"),
        pytest.param("Broncos", "Denver Broncos", 0, 2 / 3, id="half of it"),
        pytest.param("It was the Denver Broncos", "Denver Broncos", 0, 2 * 2 / 6, id="more than it"),
        pytest.param("Carolina Panthers", "Denver Broncos", 0, 0, id="another"),
        pytest.param("a the", "an", 1, 1, id="nothing but articles"),
        pytest.param("", "Denver", 0, 0, id="nothing"),
        pytest.param("no no no", "no", 0, 0.5, id="a word counts as often as it is shared"),
        pytest.param("anthem", "them", 0, 0, id="an article inside a word stays"),
    ],
)
def test_answers_of_squad(answer, expected, exact, f1):
    assert same(answer, expected) == exact
    assert shared(answer, expected) == pytest.approx(f1)
    assert value("exact_match", [answer], [expected]) == exact
    assert value("token_f1", [answer], [expected]) == pytest.approx(f1)


# --- reasoning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, found",
    [
        pytest.param("48/2 = 24, and 48 + 24 = 72.\n#### 72", "72", id="GSM8K"),
        pytest.param("so it is <<48+24=72>>72\n#### 1,072.00", "1072", id="GSM8K with separators"),
        pytest.param(r"Thus $x = \boxed{\frac{1}{2}}$.", r"\frac{1}{2}", id="MATH with braces"),
        pytest.param(r"\boxed{3}, no: \boxed{-4}. See line 7.", "-4", id="the last box, not the last number"),
        pytest.param(r"It is \boxed{4", "4", id="a box that is never closed"),
        pytest.param("The answer is 42. I checked it twice, on 2 days.", "42", id="said in a sentence"),
        pytest.param("**Answer:** $1,234.50", "1234.5", id="markdown and a currency"),
        pytest.param("The final answer is: 3.5 apples.", "3.5", id="a decimal point ends no sentence"),
        pytest.param("Answer: (B)", "b", id="a choice"),
        pytest.param("So the answer is Paris.", "paris", id="a word"),
        pytest.param("Two and 2 are 4, so 8 in all.", "8", id="the last number"),
        pytest.param("5-3 is 2, and 3-5 is -2", "-2", id="a minus is no dash"),
        pytest.param("that makes 7-5", "5", id="a dash is no minus"),
        pytest.param("about .5 of it", "0.5", id="without a leading zero"),
        pytest.param("The answer is 50%.", "50", id="percent"),
        pytest.param("I don't know.", None, id="none"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_the_final_answer(text, found):
    assert final(text) == found


@pytest.mark.parametrize(
    "text, pattern, found",
    [
        pytest.param("A: 1. A: 2.", r"A: (\d)", "2", id="the last match, its group"),
        pytest.param("A: 1. B: Two.", r"[AB]: \w+", "b:two", id="all of it without a group"),
        pytest.param("Nothing here, but 7.", r"A: (\d)", None, id="no match is no answer, whatever number there is"),
        pytest.param("A: ", r"A: (\d)?", "", id="a group that matched nothing"),
    ],
)
def test_the_final_answer_of_a_pattern(text, pattern, found):
    assert final(text, pattern) == found


@pytest.mark.parametrize(
    "one, other, equal",
    [
        ("#### 1,000", "#### 1000.0", True),
        ("#### $18", "#### 18 dollars", True),
        ("#### -3", "#### 3", False),
        ("#### 2x", "#### 2", False),
        (r"\boxed{\sqrt{2}}", r"\boxed{2}", False),
        ("#### 1/2", "#### 2", False),
        ("#### 007", "#### 7", True),
        ("#### 1,00", "#### 100", False),
    ],
)
def test_which_answers_are_the_same(one, other, equal):
    assert value("answer_accuracy", [one], [other]) == equal


def test_an_expected_answer_without_a_form_is_the_answer():
    measured = METRICS["answer_accuracy"].measure(
        texts(["The answer is yes.", "No idea", "So: 3 + 4 = 7"], ["Yes", "yes", "seven"])
    )
    assert list(measured.each) == [1, 0, 0]
    assert measured.notes == {"no answer": 1}


@given(text=st.text(max_size=80))
@settings(deadline=None)
def test_no_text_is_too_odd(text):
    assert final(text) == final(text)
    for name in ("answer_accuracy", "exact_match", "token_f1", "rouge_l", "chrf", "bleu"):
        assert 0 <= value(name, [text], ["one right answer"]) <= METRICS[name].top


@pytest.mark.parametrize(
    "text", [pytest.param("a  " * 5000 + "!", id="words"), pytest.param("answer is " * 5000, id="answers")]
)
def test_odd_texts_take_no_time(text):
    final(f"#### {text}")
    final(text)


# --- the others -------------------------------------------------------------------------------------------------------


def test_perplexity_is_weighted_by_tokens():
    measured = perplexity([1.0, 3.0], [30, 10])

    assert value_of(measured, 2) == pytest.approx(np.exp(1.5))
    assert resampled(measured, [1, 1], 2) == pytest.approx(np.exp(3))
    assert value_of(perplexity([float("inf")], [3]), 1) == float("inf")


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.measure and name != "pass@1"])
def test_a_perfect_score(name):
    right = ["The answer is 4 and it is right.", "The answer is 5 and it is wrong."] * 2

    assert value(name, right, right) == pytest.approx(METRICS[name].top)


def test_every_task_type_has_metrics():
    from typing import get_args

    from preflight.config.sections import Task

    assert set(DEFAULTS) == set(get_args(Task.model_fields["type"].annotation))
    assert {name for names in DEFAULTS.values() for name in names} <= set(METRICS)


def test_what_was_thought_is_no_part_of_the_answer():
    assert spoken("<think>4? no, 5</think>\n\n5") == "5"
    assert spoken("    return 5\n") == "    return 5\n"


@pytest.mark.parametrize(
    "name, limits, reason",
    [
        ("accuracy", (0.8, None), None),
        ("bleu", (30.0,), None),
        ("perplexity", (None, 1e4), None),
        ("my/metrics.py:polite", (-3.0,), None),
        ("f1", (), None),
        ("acuracy", (), "Did you mean accuracy"),
        ("metrics:polite", (), "file.py:function"),
        ("accuracy", (80.0,), "write 0.8 for 80 %"),
        ("bleu", (-1.0,), "from 0 to 100"),
    ],
)
def test_names_and_limits_that_can_be_meant(name, limits, reason):
    found = refusal(name, *limits)

    assert (found is None) if reason is None else (reason in found)


def test_the_config_refuses_an_unknown_metric(project):
    from preflight.config import ConfigError, load_config

    with pytest.raises(ConfigError, match=r"evaluation\.metrics: there is no metric 'rougel'. Did you mean rouge_l"):
        load_config(project.set(evaluation={"metrics": {"rougel": {"min": 0.3}}}).write())


@pytest.mark.parametrize("task, name, meant", [("qa", "f1", "token_f1"), ("classification", "f1", "f1")])
def test_a_name_means_what_the_task_calls_so(task, name, meant, tmp_path):
    assert metric_of(name, task, tmp_path).name == meant

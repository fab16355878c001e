"""POST-115: tasks of lm-evaluation-harness, on results as it gives them and, where it is installed, on local tasks."""

import math

import pytest

from preflight.checks.validation import lm_eval_tasks
from preflight.config import load_config
from preflight.config.evaluation import LmEval
from preflight.evaluation.harness import Score, compared, scores_of
from preflight.findings import Found, NotAvailable


def found(score, samples=None, metric="acc,none", error=0.1, **more):
    """What the harness gives for one task."""
    name, kept = metric.split(",")
    made = {
        "results": {"local": {"alias": "local", metric: score, f"{name}_stderr,{kept}": error}},
        "group_subtasks": {"local": []},
        "higher_is_better": {"local": {name: True}},
        "n-samples": {"local": {"original": 100, "effective": 20}},
    }
    if samples is not None:
        made["samples"] = {"local": [{"doc_id": at, "filter": kept, name: value} for at, value in enumerate(samples)]}
    return {**made, **more}


def test_the_error_is_that_of_paired_differences():
    (score,) = compared(found(0.75, [1, 1, 0, 1]), found(0.5, [1, 0, 0, 1]))

    assert (score.base, score.tuned, score.drop, score.samples) == (0.75, 0.5, 0.25, 20)
    assert score.paired
    assert score.error == pytest.approx(0.25)  # of 0, -1, 0, 0


@pytest.mark.parametrize(
    "base, tuned, error",
    [
        pytest.param(None, None, math.hypot(0.1, 0.1), id="no samples"),
        pytest.param([(1, 2)] * 3, [(1, 2)] * 3, math.hypot(0.1, 0.1), id="samples without a number"),
        pytest.param([1, 0], [1, 0, 1], math.hypot(0.1, 0.1), id="other samples"),
    ],
)
def test_without_pairs_the_harness_own_errors_count(base, tuned, error):
    (score,) = compared(found(0.75, base), found(0.5, tuned))

    assert not score.paired
    assert score.error == pytest.approx(error)


def test_an_error_that_the_harness_does_not_know():
    (score,) = compared(found(0.75, error="N/A"), found(0.5, error="N/A"))

    assert score.error is None


@pytest.mark.parametrize(
    "values, main",
    [
        ({"acc_norm,none": 0.1, "acc,none": 0.2}, "acc,none"),
        ({"bleu,none": 30.0, "exact_match,strict-match": 0.2, "exact_match,flexible": 0.3}, "exact_match,strict-match"),
        ({"mcc,none": 0.5, "mcc_stderr,none": 0.1}, "mcc,none"),
    ],
)
def test_the_main_metric(values, main):
    results = {"results": {"local": {"alias": "local", "sample_len": 5, **values}}}

    (score,) = compared({**found(0), **results}, {**found(0), **results})

    assert score.metric == main


def test_the_tasks_of_a_group_count_as_one():
    parts = {
        "results": {name: {"acc,none": 0.1} for name in ("one", "two")},
        "groups": {"both": {"acc,none": 0.4, "acc_stderr,none": 0.1}},
        "group_subtasks": {"both": ["one", "two"]},
        "n-samples": {name: {"original": 9, "effective": 8} for name in ("one", "two")},
    }

    (score,) = compared({**found(0), **parts}, {**found(0), **parts})

    assert (score.task, score.samples, score.base) == ("both", 16, 0.4)


def score(base, tuned, error=0.01, higher=True, samples=100):
    return Score("local", "acc,none", base, tuned, error, True, higher, samples)


def judged(monkeypatch, project, *scores):
    """The check on literal scores."""
    config = load_config(project.set(evaluation={"lm_eval": {"tasks": ["local"]}}).write())
    monkeypatch.setattr(lm_eval_tasks, "scores_of", lambda *_: list(scores))
    limits = type("Limits", (), {"max_drop": 0.02})
    try:
        lm_eval_tasks.benchmark_scores_are_kept(config, None, lambda *_, **__: None, limits)
    except Found as error:
        return list(error.findings)
    return []


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(score(0.5, 0.5), id="the same"),
        pytest.param(score(0.5, 0.7), id="better"),
        pytest.param(score(0.5, 0.481, 0.001), id="a little worse for sure"),
        pytest.param(score(0.5, 0.4, 0.06), id="worse, but as well by chance"),
        pytest.param(score(20.0, 20.3, 0.01, higher=False), id="a perplexity up by 2 %"),
        pytest.param(score(20.0, 12.0, 0.01, higher=False), id="a better perplexity"),
    ],
)
def test_what_the_base_could_do_is_kept(monkeypatch, project, one):
    assert judged(monkeypatch, project, one) == []


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(score(0.5, 0.4, 0.03), id="worse for sure"),
        pytest.param(score(0.5, 0.4, None), id="worse, and nobody knows how sure"),
        pytest.param(score(20.0, 25.0, 0.5, higher=False), id="a worse perplexity"),
        pytest.param(score(0.5, float("nan"), float("nan")), id="no number"),
    ],
)
def test_what_the_base_could_do_is_lost(monkeypatch, project, one):
    (finding,) = judged(monkeypatch, project, score(0.3, 0.3), one)

    assert finding.message == "local: acc is worse than the base's"
    assert finding.expected.startswith(f"the base's {one.base:.3f}, and at most ")


def test_too_few_samples_to_tell(monkeypatch, project):
    with pytest.raises(NotAvailable, match="local has 7 samples, which can't tell"):
        judged(monkeypatch, project, score(0.5, 0.1, samples=7))


TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: {kind}
doc_to_text: "{{{{question}}}}"
"""
CHOICE = 'doc_to_choice: "{{choices}}"\ndoc_to_target: "{{answer}}"\nmetric_list: [{metric: acc}, {metric: acc_norm}]\n'
SPOKEN = """doc_to_target: "{{choices[0]}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 4, do_sample: false}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


@pytest.fixture
def tasks(project):
    """A folder of two local tasks."""
    pytest.importorskip("lm_eval")
    rows = [{"question": f"What is {n} + 1? It is", "choices": [str(n + 1), str(9 - n)], "answer": 0} for n in range(9)]
    file = project.rows(rows, "questions.jsonl")
    (project.folder / "tasks").mkdir()
    project.text(TASK.format(name="local_choice", file=file, kind="multiple_choice") + CHOICE, "tasks/choice.yaml")
    project.text(TASK.format(name="local_spoken", file=file, kind="generate_until") + SPOKEN, "tasks/spoken.yaml")
    return project


def test_local_tasks_on_a_run_of_the_trainer(tasks, flown):
    wanted = {"tasks": ["local_choice", "local_spoken"], "include_path": "tasks", "limit": 8}
    flown.set(evaluation={"lm_eval": wanted})

    run = flown.gate("-k", "POST-115", stage="postflight")

    assert run.outcome("POST-115") in ("passed", "failed"), run.screen
    choice, spoken = run.check("POST-115")["evidence"]["tasks"]
    assert (choice["metric"], spoken["metric"]) == ("acc,none", "exact_match,none")
    assert choice["samples"] == spoken["samples"] == 8
    assert choice["paired"]
    assert 0 <= choice["base"] <= 1


def test_scores_are_those_of_base_and_tuned_model(tasks, flown):
    """Against lm-evaluation-harness on the base alone, and on the tuned model alone."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from preflight.evaluation.trained import load_trained
    from preflight.model import build
    from preflight.model.tokenizer import load_tokenizer

    config = load_config(flown.write())
    trained = load_trained(config, load_tokenizer(config))
    for name, matrix in trained.model.named_parameters():
        if "lora_B" in name:
            matrix.data.normal_()

    (one,) = scores_of(config, LmEval(tasks=["local_choice"], include_path="tasks"), trained)

    manager = TaskManager(include_path=str(flown.folder / "tasks"), include_defaults=False)
    for model, value in ((build.load_base(config).eval(), one.base), (trained.model, one.tuned)):
        alone = HFLM(pretrained=model, tokenizer=load_tokenizer(config).hf)
        own = lm_eval.simple_evaluate(model=alone, tasks=["local_choice"], task_manager=manager, bootstrap_iters=0)
        assert value == own["results"]["local_choice"]["acc,none"]


@pytest.mark.parametrize(
    "wanted, reason",
    [
        pytest.param(
            {"tasks": ["local_choise"], "include_path": "tasks"}, "has no task local_choise. Did you mean local_choice"
        ),
        pytest.param({"tasks": ["local_choice"], "include_path": "task"}, "include_path: task is not a folder"),
        pytest.param({"tasks": ["lost"], "include_path": "tasks"}, "the harness can't run lost: "),
    ],
)
def test_tasks_that_cannot_be_run(tasks, flown, wanted, reason):
    flown.text(TASK.format(name="lost", file="/none.jsonl", kind="multiple_choice") + CHOICE, "tasks/lost.yaml")

    run = flown.set(evaluation={"lm_eval": wanted}).gate("-k", "POST-115", stage="postflight")

    assert run.outcome("POST-115") == "not-available", run.screen
    assert reason in run.check("POST-115")["reason"]


def test_without_the_harness(flown, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "lm_eval" else find(name, *rest)
    )

    run = flown.set(evaluation={"lm_eval": {"tasks": ["gsm8k"]}}).gate("-k", "POST-115", stage="postflight")

    assert run.outcome("POST-115") == "not-available"
    assert "pip install 'finetune-preflight[lm-eval]'" in run.check("POST-115")["reason"]

"""POST-114: a user's prompts and what must hold for the answers."""

from types import SimpleNamespace

import pytest

from preflight.checks.validation import prompt_suite
from preflight.config import load_config
from preflight.evaluation.generate import Reply
from preflight.evaluation.suite import cases_of, hold
from preflight.findings import Found, NotAvailable
from preflight.model.tokenizer import load_tokenizer

SOUND = Reply("Paris is the capital.", [1, 2, 3], True)


@pytest.fixture
def cases(project):
    """The cases of a suite of these rows."""

    def made(*rows, **sections):
        project.rows(rows, "suite.jsonl")
        config = load_config(project.set(evaluation={"suite": "suite.jsonl"}, **sections).write())
        return cases_of(config, load_tokenizer(config))

    return made


@pytest.mark.parametrize(
    "demand, reply, faults",
    [
        pytest.param({"contains": "paris"}, SOUND, [], id="contains, in any case of letters"),
        pytest.param({"contains": ["Paris", "Rome", "Oslo"]}, SOUND, ["lacks 'Rome', 'Oslo'"], id="lacks"),
        pytest.param({"not_contains": ["Rome"]}, SOUND, [], id="does not contain"),
        pytest.param({"not_contains": "PARIS"}, SOUND, ["has 'PARIS'"], id="has what it must not"),
        pytest.param({"regex": r"cap\w+\.$"}, SOUND, [], id="regex anywhere"),
        pytest.param({"regex": "^capital"}, SOUND, ["doesn't match '^capital'"], id="no match"),
        pytest.param({"max_chars": 21, "min_chars": 21}, SOUND, [], id="as long as it must be"),
        pytest.param({"max_chars": 20}, SOUND, ["has 21 characters, not 20 at most"], id="too long"),
        pytest.param({"min_chars": 22}, SOUND, ["has 21 characters, not 22 at least"], id="too short"),
        pytest.param({"json": True}, Reply('\n{"a": [1]}\n', [], True), [], id="json"),
        pytest.param({"json": True}, SOUND, ["is no JSON"], id="no json"),
        pytest.param({"json": True}, Reply("[" * 100_000, [], True), ["is no JSON"], id="json that never ends"),
        pytest.param({"json": False}, Reply("7", [], True), ["is JSON"], id="json that must not be"),
        pytest.param({"stops": True}, SOUND, [], id="stops"),
        pytest.param({"stops": True}, Reply("and so on", [], False), ["does not stop by itself"], id="goes on"),
        pytest.param({"contains": "Rome", "max_chars": 3}, SOUND, ["lacks 'Rome'", "has 21 characters, not 3 at most"]),
    ],
)
def test_what_holds(cases, demand, reply, faults):
    (case,) = cases({"prompt": "The capital of France?", **demand})

    assert case.faults(reply) == faults


@pytest.mark.parametrize(
    "row, reason",
    [
        ({"prompt": "Hi?", "contain": "x"}, "unknown key contain. Did you mean contains or not_contains?"),
        ({"prompt": "Hi?", "zzz": "x"}, "unknown key zzz. Known are prompt, messages, name, contains"),
        ({"contains": "x"}, "must have either prompt or messages"),
        ({"prompt": "Hi?", "messages": [], "contains": "x"}, "must have either prompt or messages"),
        ({"prompt": "Hi?", "name": "greets"}, "demands nothing: give it one of contains, not_contains"),
        ({"prompt": "", "contains": "x"}, 'prompt must be text, it is ""'),
        ({"prompt": 7, "contains": "x"}, "prompt must be text, it is 7"),
        ({"prompt": "Hi?", "contains": [1]}, "contains must be text, it is 1"),
        ({"prompt": "Hi?", "regex": "("}, "regex is no regular expression: "),
        ({"prompt": "Hi?", "max_chars": "9"}, 'max_chars must be a whole number, it is "9"'),
        ({"prompt": "Hi?", "max_chars": True}, "max_chars must be a whole number, it is true"),
        ({"prompt": "Hi?", "json": "yes"}, 'json must be true or false, it is "yes"'),
        ({"messages": "Hi?", "json": True}, "messages"),
        ({"messages": [{"rolle": "user"}], "json": True}, "messages[0]"),
    ],
)
def test_a_row_that_makes_no_sense(cases, row, reason):
    with pytest.raises(NotAvailable) as refused:
        cases({"prompt": "Hi?", "stops": True}, row)

    assert str(refused.value).startswith("evaluation.suite: suite.jsonl:2: ")
    assert reason in str(refused.value)


@pytest.mark.parametrize("text, reason", [('{"prompt": ', "suite.jsonl:1: "), ("", "suite.jsonl: the file is empty")])
def test_a_file_that_makes_no_sense(cases, project, text, reason):
    cases({"prompt": "Hi?", "stops": True})
    config = load_config(project.write())
    project.text(text, "suite.jsonl")

    with pytest.raises(NotAvailable, match=f"evaluation.suite: {reason}"):
        cases_of(config, load_tokenizer(config))


def test_a_prompt_is_put_as_the_training_data_puts_it(cases, project):
    decode = load_tokenizer(load_config(project.write())).hf.decode
    (case,) = cases({"prompt": "Hi?", "stops": True})
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"}]

    assert decode(case.ids).endswith("user\nHi?<|im_end|>\n<|im_start|>assistant\n")
    (case,) = cases({"messages": turns, "stops": True, "name": "greets"})
    assert decode(case.ids).startswith("<|im_start|>system\nBe brief.")
    assert (case.name, case.where) == ("greets", "suite.jsonl:1")
    project.rows([{"prompt": "Q: Hi?\nA:", "completion": " Hello."}])
    (case,) = cases({"prompt": "Q: Hi?\nA:", "stops": True})
    assert decode(case.ids) == "Q: Hi?\nA:"


def judged(cases, base, tuned, limits=1.0):
    """The check on literal answers: which cases are reported."""

    def says(texts):
        return lambda prompts, limit: [Reply(text, [], True) for text in texts[: len(prompts)]]

    held = hold(cases, says(base), says(tuned), 8)
    try:
        prompt_suite.judge(held, lambda *_, **__: None, SimpleNamespace(min_fraction=limits))
    except Found as found:
        return list(found.findings)
    return []


def test_a_regression_is_told_from_what_the_base_could_not_either(cases):
    made = cases(*({"prompt": f"Say {word}.", "contains": word, "name": word} for word in ("yes", "no", "so", "go")))

    lost, never = judged(made, ["yes", "no", "x", "x"], ["yes", "x", "x", "go"])

    assert (lost.where, lost.message) == ("suite.jsonl:2", "no: the answer lacks 'no'")
    assert (lost.observed, lost.expected) == ("'x'", "as the base answers: 'no'")
    assert lost.why.startswith("A regression")
    assert never.message == "so: the answer lacks 'so'"
    assert never.why == "The base model fails here too."
    assert "out of the suite" in never.fix


@pytest.mark.parametrize("wanted, fires", [(1.0, True), (0.75, False), (0.7, False), (0.76, True), (0.0, False)])
def test_the_share_that_must_hold(cases, wanted, fires):
    made = cases(*({"prompt": f"Say {word}.", "contains": word} for word in ("yes", "no", "so", "go")))

    assert bool(judged(made, ["x"] * 4, ["yes", "no", "so", "x"], wanted)) == fires


def test_a_run_of_the_trainer(flown):
    """A random model says nothing sensible, and says as much as it may."""
    flown.rows(
        [
            {"prompt": "How do I mend a lamp?", "not_contains": ["I am a lamp and cannot"], "min_chars": 3},
            {"prompt": "Say <json>.", "json": True, "name": "speaks JSON"},
        ],
        "suite.jsonl",
    )
    flown.set(evaluation={"suite": "suite.jsonl", "max_new_tokens": 8})

    run = flown.gate("-k", "POST-114", stage="postflight")

    assert run.outcome("POST-114") == "failed", run.screen
    assert [finding["where"] for finding in run.findings("POST-114")] == ["suite.jsonl:2"]
    assert run.findings("POST-114")[0]["message"] == "speaks JSON: the answer is no JSON"
    assert run.check("POST-114")["evidence"]["hold"] == 1


def test_without_a_suite_there_is_nothing_to_judge(flown):
    run = flown.gate("-k", "POST-114 or POST-115", stage="postflight")

    assert (run.outcome("POST-114"), run.outcome("POST-115")) == ("not-applicable", "not-applicable"), run.screen


def test_a_suite_that_is_not_there(flown):
    run = flown.set(evaluation={"suite": "none.jsonl"}).gate("-k", "POST-114", stage="postflight")

    assert run.outcome("POST-114") == "not-available"
    assert "none.jsonl: can't be read" in run.check("POST-114")["reason"]

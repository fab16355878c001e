"""DATA-140: every example has a supervised token after truncation."""

import pytest

CODE = "DATA-140"
LONG = {"role": "user", "content": "Tell me. " * 40}
USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}
EVERYTHING = {"assistant_only_loss": False}


@pytest.mark.parametrize(
    "row, training, observed, fix",
    [
        pytest.param(
            [LONG, ANSWER], {"max_length": 60}, "155 tokens, of them 3 to learn, max_length 60", 155, id="cut"
        ),
        pytest.param([USER], {}, "27 tokens, of them 0 to learn, max_length 256", None, id="no answer"),
        pytest.param(
            [LONG, ANSWER], {"max_length": 60, "packing": True}, "of them 3 to learn", 155, id="cut by packing"
        ),
    ],
)
def test_rows_that_teach_nothing_are_found(project, expect, row, training, observed, fix):
    project.set(training=training).rows([{"messages": [USER, ANSWER]}, {"messages": row}])
    (finding,) = expect(CODE, "failed")

    assert finding["where"] == "train.jsonl:2"
    assert observed in finding["observed"]
    assert finding["fix"] == (f"Set training.max_length to {fix}." if fix else "Add an answer, or drop the row.")
    if fix:  # the number in the fix is enough
        project.set(training={"max_length": fix})
        assert expect(CODE, "passed") == []


def test_max_length_that_cuts_every_answer_is_found(project):
    run = project.set(training={"max_length": 8}).gate("-k", CODE)

    assert len(run.findings(CODE)) == 21
    assert run.findings(CODE)[-1]["message"] == "… and 596 more like these"
    assert run.check(CODE)["evidence"]["supervised"] == 0


@pytest.mark.parametrize(
    "rows, training",
    [
        pytest.param([[USER, {"role": "assistant", "content": ""}]], {}, id="an empty answer still ends"),
        pytest.param([[USER]], EVERYTHING, id="no answer, everything learned"),
        pytest.param([[LONG, ANSWER]], {"max_length": 60, "truncation_mode": "keep_end"}, id="cut at the start"),
        pytest.param([[USER, ANSWER, LONG]], {"max_length": 60}, id="cut behind the answer"),
        pytest.param([[LONG, ANSWER]], {"max_length": None}, id="never cut"),
        pytest.param(
            [[LONG, ANSWER]],
            {"max_length": 60, "packing": True, "packing_strategy": "bfd_split"},
            id="split by packing",
        ),
    ],
)
def test_rows_that_teach_something_pass(project, expect, rows, training):
    project.set(training=training).rows([{"messages": row} for row in rows])

    assert expect(CODE, "passed") == []


def test_completions_and_text_pass(project, expect):
    project.rows([{"prompt": "a", "completion": ""}, {"text": ""}, {"prompt": "x ", "completion": "y"}])

    assert expect(CODE, "passed") == []


def test_validation_rows_that_teach_nothing_are_found(project, expect):
    """A batch of them makes the whole validation loss NaN."""
    project.rows([{"messages": [USER, ANSWER]}, {"messages": [USER]}], "validation.jsonl")
    (finding,) = expect(CODE, "failed")

    assert finding["where"] == "validation.jsonl:2"
    assert "NaN" in finding["why"]

"""DATA-112: the declared edge cases are in the data."""

import pytest

CODE = "DATA-112"


def chat(question, answer, **columns):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **columns}


def test_absent_slices_are_found_in_either_split(project, expect):
    project.rows([chat(f"Is it {n}?", "Refund it.", lang="en" if n else "fr", tier=1) for n in range(20)])
    project.rows([chat("Was it?", "No.", lang="en", tier=2)] * 2, "validation.jsonl")
    slices = {
        "refunds": "(?i)refund",
        "french": {"lang": "fr"},
        "gold": {"tier": [1, 2]},
        "typo": {"lnag": "fr"},
        "none": "no such words",
    }
    found = project.set(data={"slices": slices}) and expect(CODE, "warned")

    assert {finding["message"]: finding["fix"] for finding in found} == {
        "the slice 'refunds' has no row in validation": "Add examples of it to validation.",
        "the slice 'french' has no row in validation": "Add examples of it to validation.",
        "the slice 'typo' has no row in train and no row in validation":
            "Correct data.slices.typo: no row has a column lnag.",
        "the slice 'none' has no row in train and no row in validation": "Add examples of it to train and validation.",
    }  # fmt: skip
    assert found[0]["where"].startswith("config.yaml:")


@pytest.mark.parametrize(
    "slices, outcome",
    [
        pytest.param({}, "passed", id="none declared"),
        pytest.param({"lamps": "lamp", "kettles": {"messages": None}}, "warned", id="another column than text"),
        pytest.param({"lamps": "lamp", "numbers": r"\d{3}"}, "passed", id="patterns"),
    ],
)
def test_present_slices_pass(project, slices, outcome):
    run = project.set(data={"slices": slices}).gate("-k", CODE)

    assert run.outcome(CODE) == outcome, run.screen


@pytest.mark.parametrize(
    "slices, words",
    [
        ({"x": "("}, "isn't a regular expression"),
        ({"x": {}}, "data.slices.x"),
        ({"x": 3}, "data.slices.x"),
        ({"x": {"lang": {"a": 1}}}, "data.slices.x.lang"),
        (["x"], "data.slices"),
    ],
)
def test_malformed_slices_are_errors_of_the_config(project, slices, words):
    run = project.set(data={"slices": slices}).gate("-k", CODE)

    assert run.code == 4
    assert words in run.screen
    assert "Traceback" not in run.screen


def test_what_is_counted_in_all_data(project):
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello, what is it about?"}] * 2
    project.rows(
        [
            *[chat(f"Is it {n}?", f"It is number {n} and no other.") for n in range(20)],
            chat("Is it?", "No."),
            chat("Is it?", "It is so. " * 30),
            chat("Est-ce?", "Это номер один и никакой другой."),
            chat("How?", "Like this:\n```\nprint(1)\n``` and no other way."),
            chat("  ", "What is it that you would like?"),
            chat("How do I pick a lock?", "I'm sorry, but I can't help with it."),
            {"messages": turns},
            {"messages": [{"role": "system", "content": "Be kind."}, *turns[:2]]},
        ]
    )
    run = project.gate("-k", CODE)

    assert run.check(CODE)["evidence"]["automatic"] == {
        "short answers": 1,
        "long answers": 1,
        "other scripts": 1,
        "code": 1,
        "multi-turn": 1,
        "system prompt": 1,
        "tools": 0,
        "empty input": 1,
        "refusals": 1,
    }

"""DATA-150: the profile meets a Great Expectations suite."""

import json

import pytest

CODE = "DATA-150"


def chat(question, answer):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def test_each_broken_expectation_is_found(project):
    """Copies, one prompt, empty answers and rows without any: four of the five fail, each with its claim and fix."""
    unanswered = [{"messages": [{"role": "user", "content": "Is it?"}]}]
    project.rows([chat("Is it?", "")] * 40 + [chat("Is it?", "Yes.")] * 9 + unanswered)
    run = project.gate("-k", CODE)
    by_claim = {finding["message"]: finding for finding in run.findings(CODE)}

    assert run.outcome(CODE) == "warned"
    assert set(by_claim) == {
        "not so: every example has at least one supervised token",
        "not so: at least 90 % of the examples are unique",
        "not so: at least half of the prompts are unique",
        "not so: the typical answer has more than its end-of-turn token",
    }
    nothing = by_claim["not so: every example has at least one supervised token"]
    assert (nothing["where"], nothing["observed"]) == ("train.jsonl:50", "1 rows")
    assert all(finding["why"] and finding["fix"] for finding in by_claim.values())


def test_a_one_token_example_is_found_at_its_row(project, expect):
    project.set(training={"max_length": 1, "assistant_only_loss": False})
    project.text("{broken\n" + "".join(json.dumps(chat(str(n), "Yes.")) + "\n" for n in range(9)))
    findings = expect(CODE, "warned")

    (short,) = [finding for finding in findings if "at least 2 tokens" in finding["message"]]
    assert (short["where"], short["observed"]) == ("train.jsonl:2", "9 rows")


WRAPPED = {"packing": True, "packing_strategy": "wrapped", "max_length": 64}


@pytest.mark.parametrize(
    "rows, training",
    [
        pytest.param([chat(f"Is it {n}?", "Yes." if n % 2 else "No.") for n in range(50)], {}, id="few answers"),
        pytest.param([{"text": f"It is {n}."} for n in range(50)], {}, id="text"),
        pytest.param([chat(str(n), "It is so. " * 50) for n in range(9)], WRAPPED, id="rows longer than a pack"),
        pytest.param([chat(f"Is it {n}?", "Yes.") for n in range(50)], {"assistant_only_loss": False}, id="everything"),
    ],
)
def test_sound_profiles_pass(project, expect, rows, training):
    project.set(training=training).rows(rows)

    assert expect(CODE, "passed") == []


def test_suite_and_result_are_kept(project):
    run = project.gate("-k", CODE)
    folder = project.folder / "run" / "preflight"

    assert len(json.loads((folder / "expectations.json").read_text())["expectations"]) == 5
    assert json.loads((folder / "expectations-result.json").read_text())["success"] is True
    assert run.check(CODE)["summary"] == "5 of 5 expectations met"

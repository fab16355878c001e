"""DATA-150: the profile meets a Great Expectations suite, to which every check may add."""

import json
from types import SimpleNamespace

import pytest

from preflight.data.expectations import lengths, validate, with_more

CODE = "DATA-150"


def chat(question, answer):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def test_empty_answers_are_found(project, expect):
    project.rows([chat("Is it?", "")] * 40 + [chat("Is it?", "Yes.")] * 9)
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == "not so: the typical answer has more than its end-of-turn token"
    assert finding["observed"] == "1.0"
    assert finding["why"]
    assert finding["fix"]


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


def test_suite_and_result_of_all_checks_are_kept(project):
    """Also those of checks that were not selected: the suite does not depend on what runs."""
    run = project.gate("-k", CODE)
    folder = project.folder / "run" / "preflight"
    asked = json.loads((folder / "expectations.json").read_text())["expectations"]

    assert {"DATA-104", "DATA-106", "DATA-150"} <= {expectation["meta"]["check"] for expectation in asked}
    assert json.loads((folder / "expectations-result.json").read_text())["success"] is True
    assert run.check(CODE)["summary"] == f"{len(asked)} of {len(asked)} expectations met"
    assert not (folder / "data-docs").exists()


def test_what_another_check_reports_is_only_counted(project):
    project.rows([chat("Is it?", "Yes.")] * 9)
    run = project.gate("-k", f"{CODE} or DATA-104")

    assert (run.outcome(CODE), run.outcome("DATA-104")) == ("passed", "warned")
    assert run.check(CODE)["summary"].endswith("expectations met; see DATA-104")


def test_data_docs_are_made_when_asked_for(project):
    project.set(gate={"data_docs": True}).gate("-k", CODE)
    site = project.folder / "run" / "preflight" / "data-docs"

    assert "profile" in (site / "index.html").read_text(encoding="utf-8")
    assert list(site.glob("validations/**/*.html"))


# --- what follows from the profile ------------------------------------------------------------------------------------


def test_shares_set_a_row_beside_all_others(split):
    frame = with_more(split(4, kept=[10, 20, 20, 150], task=["a", "a", "b", None]).profile)

    assert frame["token_share"].tolist() == [0.05, 0.1, 0.1, 0.75]
    assert frame["token_ratio"].tolist() == [0.5, 1, 1, 7.5]
    assert frame["task_ratio"].fillna(-1).tolist() == [1, 1, 0.5, -1]


def test_lengths_are_counted_where_labels_tell_and_estimated_where_they_do_not(split):
    prompts, answers = lengths(split(2, length=60, answer=[20, 60], chars=240, said=80).profile)

    assert (prompts.tolist(), answers.tolist()) == ([40, 40], [20, 20])


def test_results_come_back_in_the_order_of_the_check(split, tmp_path):
    import great_expectations.expectations as gxe

    def expect(limits):
        return [
            gxe.ExpectColumnValuesToBeBetween(column="kept", min_value=limits.low, meta={"claim": str(number)})
            for number in range(12)
        ]

    found = validate(split(9, kept=range(9)).profile, {"USER-001": (expect, SimpleNamespace(low=3))}, tmp_path)

    assert [one.claim for one in found["USER-001"]] == [str(number) for number in range(12)]
    assert {(one.met, one.unexpected, one.rows) for one in found["USER-001"]} == {(False, 3, (0, 1, 2))}

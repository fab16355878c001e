"""DATA-136: the roles of each conversation follow on each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.checks.data_format.role_order import fault

CODE = "DATA-136"
NAMES = {"s": "system", "d": "developer", "u": "user", "a": "assistant", "t": "tool"}


def chat(roles, number=0):
    return {"messages": [{"role": NAMES[role], "content": f"Say {number}."} for role in roles]}


@pytest.mark.parametrize(
    "roles", ["ua", "uaua", "sua", "dua", "sdua", "uata", "uatta", "uatata", "suatttauata", "ua" * 200]
)
def test_an_order_that_is_right_has_no_fault(roles):
    assert fault(roles) is None


@pytest.mark.parametrize(
    "roles, text",
    [
        ("uua", "two user turns stand in a row"),
        ("uaa", "two assistant turns stand in a row"),
        ("a", "the assistant speaks first"),
        ("saua", "the assistant speaks first"),
        ("au", "the assistant speaks first"),
        ("uau", "the user has the last word"),
        ("u", "the user has the last word"),
        ("usa", "a system message stands behind other messages"),
        ("uada", "a system message stands behind other messages"),
        ("uatsa", "a system message stands behind other messages"),
        ("uas", "a system message stands behind other messages"),
        ("uat", "a tool's result is the last message"),
        ("uatua", "the user follows on a tool's result"),
        ("uta", "a tool's result follows on the user"),
        ("ta", "a tool's result stands first"),
        ("sta", "a tool's result stands first"),
        ("s", "there is nothing but a system message"),
        ("sd", "there is nothing but a system message"),
    ],
)
def test_an_order_that_is_wrong_has_its_first_fault(roles, text):
    assert fault(roles)[0].startswith(text)
    assert fault(roles)[1]


@given(st.text("sduat", min_size=1, max_size=12))
def test_any_order_has_a_fault_or_none(roles):
    found = fault(roles)

    assert (found is None) <= (roles.endswith("a") and "u" in roles)


def test_rows_out_of_order_are_found_once_a_fault(project, expect):
    wrong = {10: "uau", 20: "uau", 30: "uua", **dict.fromkeys(range(100, 108), "sua" * 2)}
    project.rows([chat(wrong.get(number, "ua"), number) for number in range(300)])
    findings = expect(CODE, "warned")

    assert [finding["message"].partition(", in ")[2] for finding in findings] == [
        "2 of 300 rows of train",
        "1 of 300 rows of train",
        "8 of 300 rows of train",
    ]
    assert findings[0]["where"] == "train.jsonl:11"
    assert findings[0]["observed"] == "u a u; rows: train.jsonl:11, train.jsonl:21"
    assert findings[0]["fix"].startswith("Add the assistant's answer")


def test_a_few_rows_are_let_pass_and_the_limit_can_be_set(project, expect):
    project.rows([chat("uau" if number in (5, 6) else "ua", number) for number in range(300)])

    assert expect(CODE, "passed") == []
    project.set(gate={"thresholds": {CODE: {"max_fraction": 0.0}}})
    assert len(expect(CODE, "warned")) == 1


@pytest.mark.parametrize(
    "row",
    [
        {"text": "Hi"},
        {"prompt": "Hi", "completion": "x"},
        {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "x"}]},
        {"instruction": "Hi", "output": "x", "system": "Be brief."},
        {
            "conversations": [
                {"from": by, "value": '{"name": "f", "arguments": {}}'}
                for by in ("system", "human", "function_call", "observation", "observation", "gpt")
            ]
        },
    ],
)
def test_every_shape_in_order_passes(project, expect, row):
    project.rows([row])
    project.rows([row], "validation.jsonl")

    assert expect(CODE, "passed") == []

"""DATA-133: hardly any row holds personal data."""

import pytest

from tests.conftest import chat

CODE = "DATA-133"

MAIL, PHONE = "Write to hanna.brandt@posteo.de.", "Call Mrs Lind at +46 8 50 82 63 10."


def rows(*answers):
    return [chat(number, answer=answer) for number, answer in enumerate(answers)] + [chat(n) for n in range(50, 80)]


def test_personal_data_is_found_and_masked(project):
    project.rows(rows(MAIL, MAIL, PHONE))
    run = project.gate("-k", CODE)
    (finding,) = run.findings(CODE)

    assert run.outcome(CODE) == "warned"
    assert finding["message"] == "3 of 33 rows hold personal data: e-mail 2, phone 1 (9.1%)"
    assert finding["observed"] == "h…@p….de; train.jsonl:3: +46…10; also train.jsonl:2"
    assert "brandt" not in run.screen + str(run.check(CODE))


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([MAIL], id="one row"),
        pytest.param(
            ["Write to jane@example.com.", "Call (212) 555-0142.", "Pay with 4242 4242 4242 4242."], id="examples"
        ),
    ],
)
def test_what_is_nobodys_passes(project, expect, answers):
    project.rows(rows(*answers))

    assert expect(CODE, "passed") == []

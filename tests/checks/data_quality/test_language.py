"""DATA-131: answers are in the languages that the config declares."""

import pytest

from tests.conftest import chat

CODE = "DATA-131"

GERMAN = "Schalten Sie die Lampe aus und lassen Sie sie zehn Minuten abkühlen, bevor Sie die Birne wechseln."
ENGLISH = "Turn the lamp off and let it cool for ten minutes before you change the bulb, and never touch it wet."


def rows(english, german):
    answers = [ENGLISH] * english + [GERMAN] * german
    return [chat(number, answer=f"{answer} {number}") for number, answer in enumerate(answers)]


def test_another_language_is_found(project, expect):
    project.set(data={"languages": ["en", "fr"]}).rows(rows(40, 3))
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == "3 of 43 answers are in a language that is not declared (7%)"
    assert finding["where"] == "train.jsonl:41"
    assert finding["expected"] == "en, fr"
    assert finding["fix"] == "Drop or translate these rows, or add de to data.languages."


@pytest.mark.parametrize(
    "data, declared, outcome",
    [
        pytest.param(rows(40, 9), ["en", "de"], "passed", id="declared"),
        pytest.param(rows(40, 9), None, "not-applicable", id="nothing declared"),
        pytest.param(rows(60, 1), ["en"], "passed", id="one answer"),
        pytest.param([chat(n, answer="negativ") for n in range(40)], ["en"], "passed", id="labels"),
    ],
)
def test_declared_languages_pass(project, expect, data, declared, outcome):
    project.set(data={"languages": declared}).rows(data)

    assert expect(CODE, outcome) == []


def test_what_was_seen_is_said_without_a_declaration(project):
    project.rows(rows(30, 10))
    run = project.gate("-k", CODE)

    assert run.check(CODE)["reason"] == "the config has no data.languages; seen: en 75%, de 25%"

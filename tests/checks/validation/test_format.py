"""POST-107: what the config says of the format, each part fired and left silent, on literal answers."""

import json
from types import SimpleNamespace

import pytest

from preflight.checks.validation import format as form
from preflight.config import load_config
from preflight.config.evaluation import Format
from preflight.findings import NotApplicable, NotAvailable

check = form.answers_have_the_declared_format
FORMAT = r"(?s)Topic: \w+\n.*"
SCHEMA = {
    "type": "object",
    "required": ["city", "days"],
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "additionalProperties": False,
}
GERMAN = "Die Lampe ist kaputt, deshalb müssen wir sie morgen in die Werkstatt bringen und dort reparieren lassen."
ENGLISH = "The lamp is broken, so tomorrow we have to take it to the workshop and have it repaired over there."


def settings(folder=None, **values):
    said = values.pop("format", None) or (Format(**values) if values else None)
    return SimpleNamespace(evaluation=SimpleNamespace(format=said), resolve=lambda path: folder / path)


@pytest.mark.parametrize(
    "texts, limits, fires",
    [
        pytest.param(["Topic: tea\nIt is hot."] * 8, {}, False, id="all match"),
        pytest.param([" Topic: tea\nIt is hot.\n"] * 8, {}, False, id="blanks around it don't matter"),
        pytest.param(["Topic: tea\nHot."] * 7 + ["Tea."], {}, False, id="seven of eight"),
        pytest.param(["Topic: tea\nHot."] * 6 + ["Tea."] * 2, {}, True, id="six of eight"),
        pytest.param(["Sure! Topic: tea\nHot."] * 8, {}, True, id="something before it"),
        pytest.param(["Topic: \nHot."] * 8, {}, True, id="a part is missing"),
        pytest.param(["Topic: tea\nHot."] * 4 + ["Tea."] * 4, {"min_fraction": 0.5}, False, id="half is enough"),
    ],
)
def test_the_format(judge, answer, texts, limits, fires):
    answers = [answer(text, row=number) for number, text in enumerate(texts)]

    findings = judge(check, limits, config=settings(format=FORMAT), answers=answers)

    assert bool(findings) == fires
    for finding in findings:
        first = next(number for number, text in enumerate(texts) if not text.strip().startswith("Topic: tea"))
        assert finding.where == f"validation row {first}"
        assert "80%" in finding.expected
        assert texts[first][:20].split("\n")[0] in finding.message


@pytest.mark.parametrize(
    "said, text, message",
    [
        pytest.param({"regex": r"\d+"}, "42", None, id="regex"),
        pytest.param({"regex": r"\d+"}, "42 apples", "does not match the regex", id="regex of a part"),
        pytest.param({"starts_with": "Answer: "}, "Answer: 4", None, id="start"),
        pytest.param({"starts_with": "Answer: "}, "Answer:", None, id="start, and nothing behind its blank"),
        pytest.param({"starts_with": "Answer:"}, "The Answer: 4", "does not start with 'Answer:'", id="other start"),
        pytest.param({"ends_with": "</done>"}, "4</done>\n", None, id="end"),
        pytest.param({"ends_with": "</done>"}, "4</done> Anything else?", "does not end with", id="other end"),
        pytest.param({"min_chars": 3}, "Yes", None, id="just long enough"),
        pytest.param({"min_chars": 3}, " ok ", "too short, 2 characters", id="too short"),
        pytest.param({"max_chars": 3}, "Yes", None, id="just short enough"),
        pytest.param({"max_chars": 3}, "Well, yes", "too long, 9 characters", id="too long"),
        pytest.param({"language": "de"}, GERMAN, None, id="the language"),
        pytest.param({"language": "de-CH"}, GERMAN, None, id="the language with a region"),
        pytest.param({"language": "de"}, ENGLISH, "is in another language (en)", id="another language"),
        pytest.param({"language": "de"}, "OK, 42.", None, id="too short for a language"),
        pytest.param({"language": "de"}, f"```python\nprint({ENGLISH!r})\n```", None, id="code is in no language"),
        pytest.param({"json_schema": SCHEMA}, '{"city": "Oslo", "days": 2}', None, id="JSON"),
        pytest.param({"json_schema": SCHEMA}, '\n{"days": 2,\n "city": "Oslo"}\n', None, id="JSON in other clothes"),
        pytest.param({"json_schema": SCHEMA}, '{"city": "Oslo"}', "'days' is a required", id="a key is missing"),
        pytest.param({"json_schema": SCHEMA}, '{"city": "Oslo", "days": "2"}', r"at $.days", id="another type"),
        pytest.param({"json_schema": SCHEMA}, '{"city": "Oslo", "days": 2', "is not JSON (Expect", id="cut off"),
        pytest.param({"json_schema": SCHEMA}, "Oslo for two days", "is not JSON", id="words"),
        pytest.param({"json_schema": SCHEMA}, '```json\n{"city": "Oslo", "days": 2}\n```', "not JSON", id="in a fence"),
        pytest.param({"json_schema": SCHEMA}, "[" * 100_000, "is nested too deeply", id="a loop of brackets"),
        pytest.param({"json_schema": SCHEMA}, "", "is not JSON", id="nothing"),
        pytest.param({"json_schema": {"type": "array"}}, "[1, 2]", None, id="a list"),
    ],
)
def test_each_part(judge, answer, said, text, message):
    findings = judge(check, config=settings(**said), answers=[answer(text, row=3)])

    assert len(findings) == (message is not None)
    for finding in findings:
        assert message in finding.message
        assert next(iter(said)) in finding.expected
        assert (finding.where, "1 of 1 answers" in finding.observed) == ("validation row 3", True)


def test_one_finding_a_part(judge, answer):
    """An answer has all parts or it hasn't the format, and each broken part is said once, the most frequent first."""
    config = settings(starts_with="A:", max_chars=8)
    answers = [
        answer(text, row=row)
        for row, text in enumerate(["A: 1", "A: 2", "A: 3", "B: 1", "B: 22", "A: a long one", "B: a long one", "A: 4"])
    ]

    first, second = judge(check, config=config, answers=answers)

    assert (first.where, "starts_with" in first.expected) == ("validation row 3", True)
    assert first.observed == "3 of 8 answers; 4 have the whole format, base 0"
    assert (second.where, "max_chars: 8" in second.expected) == ("validation row 5", True)


def test_a_schema_in_a_file(judge, answer, tmp_path):
    (tmp_path / "city.json").write_text(json.dumps(SCHEMA))
    config = settings(tmp_path, json_schema="city.json")

    assert judge(check, config=config, answers=[answer('{"city": "Oslo", "days": 1}')]) == []
    assert len(judge(check, config=config, answers=[answer('{"city": 7, "days": 0}')])) == 1


@pytest.mark.parametrize(
    "content, reason",
    [
        pytest.param(None, "city.json can't be read as JSON: No such file", id="no file"),
        pytest.param("{", "can't be read as JSON: Expecting", id="not JSON"),
        pytest.param("\udcff", "can't be read as JSON: 'utf-8'", id="not UTF-8"),
        pytest.param("[1]", "holds no schema", id="a list"),
        pytest.param('{"type": "objekt"}', r"not a JSON schema: \$.type: 'objekt'", id="no such type"),
        pytest.param('{"required": "city"}', "not a JSON schema", id="no list"),
        pytest.param('{"pattern": "("}', "not a JSON schema", id="a broken expression"),
        pytest.param('{"$ref": "https://example.org/city.json"}', "refers to 'https://example.org", id="on the web"),
        pytest.param('{"$ref": "#/$defs/city"}', r"refers to '#/\$defs/city'|refers to '/\$defs/city'", id="nowhere"),
        pytest.param('{"$ref": "#"}', "refers to itself", id="a loop"),
    ],
)
def test_a_schema_of_no_use(judge, answer, tmp_path, content, reason):
    if content is not None:
        (tmp_path / "city.json").write_text(content, errors="surrogateescape")

    with pytest.raises(NotAvailable, match=reason):
        judge(check, config=settings(tmp_path, json_schema="city.json"), answers=[answer("{}")])


def test_a_language_that_nobody_can_tell(judge, answer):
    with pytest.raises(NotAvailable, match="'tlh' can't be told"):
        judge(check, config=settings(language="tlh"), answers=[answer(ENGLISH)])


def test_without_a_declared_format_there_is_none_to_judge(judge, answer):
    with pytest.raises(NotApplicable):
        judge(check, config=settings(), answers=[answer()])


def test_a_schema_written_in_the_config(project, judge, answer):
    config = load_config(project.set(evaluation={"format": {"json_schema": SCHEMA, "max_chars": 40}}).write())

    assert judge(check, config=config, answers=[answer('{"city": "Oslo", "days": 1}')]) == []
    (finding,) = judge(check, config=config, answers=[answer('{"city": "Oslo"}')])
    assert "json_schema" in finding.expected

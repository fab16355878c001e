"""POST-119: calls in the notations of several families, from both sides, read with the embedded model's tokenizer."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from preflight.checks.validation import tool_calls
from preflight.config import load_config
from preflight.findings import NotApplicable, NotAvailable
from preflight.model.tokenizer import load_tokenizer

check = tool_calls.calls_in_answers_can_be_carried_out
CONFIG = SimpleNamespace(data=SimpleNamespace(format="auto"), evaluation=SimpleNamespace(max_new_tokens=64))
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {}, "days": {}}, "required": ["city"]},
    },
}
TIME = {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "properties": {}}}}


def hermes(name, arguments):
    return f'<tool_call>\n{{"name": "{name}", "arguments": {json.dumps(arguments)}}}\n</tool_call>'


def xml(name, arguments):
    inside = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function={name}>\n{inside}</function>\n</tool_call>"


def mistral(name, arguments):
    return f'[TOOL_CALLS] [{{"name": "{name}", "arguments": {json.dumps(arguments)}}}]'


def mistral_named(name, arguments):
    return f"[TOOL_CALLS]{name}[ARGS]{json.dumps(arguments)}"


def deepseek(name, arguments):
    call = f"function<｜tool▁sep｜>{name}\n```json\n{json.dumps(arguments)}\n```"
    return f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>{call}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"


def llama(name, arguments):
    return f'{{"name": "{name}", "parameters": {json.dumps(arguments)}}}'


FAMILIES = (hermes, xml, mistral, mistral_named, deepseek, llama)


def row(text="", *, calls=(), tools=(WEATHER, TIME)):
    answer = {"role": "assistant", "content": text}
    if calls:
        functions = [{"name": name, "arguments": arguments} for name, arguments in calls]
        answer["tool_calls"] = [{"type": "function", "function": function} for function in functions]
    return {"messages": [{"role": "user", "content": "How is it in Oslo?"}, answer], "tools": list(tools)}


OSLO = ("weather", {"city": "Oslo", "days": 2})
CALLING = row(calls=[OSLO])


@pytest.fixture(scope="module")
def tokenizer(tiny):
    from transformers import AutoTokenizer

    return SimpleNamespace(hf=AutoTokenizer.from_pretrained(tiny))


@pytest.fixture
def findings(judge, answer, tokenizer):
    def made(expected, tuned, columns=CALLING, limits=None, tokens=5):
        texts = tuned if isinstance(tuned, list) else [tuned] * 8
        wanted = expected if isinstance(expected, list) else [expected] * len(texts)
        rows = columns if isinstance(columns, list) else [columns] * len(texts)
        answers = [
            replace(answer(said, row=number, tokens=tokens), expected=want, columns=have)
            for number, (said, want, have) in enumerate(zip(texts, wanted, rows, strict=True))
        ]
        return judge(check, limits, config=CONFIG, tokenizer=tokenizer, answers=answers)

    return made


@pytest.mark.parametrize("write", FAMILIES)
@pytest.mark.parametrize(
    "call",
    [
        pytest.param(OSLO, id="the call of the data"),
        pytest.param(("weather", {"city": "Bergen"}), id="with other arguments"),
        pytest.param(("time", {}), id="of another tool"),
        pytest.param(("weather", {"city": "Oslo", "unit": "C"}), id="with an argument that nobody declared"),
    ],
)
def test_calls_that_can_be_carried_out(findings, write, call):
    assert findings(write(*OSLO), write(*call)) == []


@pytest.mark.parametrize("write", FAMILIES)
@pytest.mark.parametrize(
    "made, message",
    [
        pytest.param(lambda write: "In Oslo it is cold.", "calls no tool: 'In Oslo it is cold.'", id="words"),
        pytest.param(lambda write: write("wether", {"city": "Oslo"}), "not declared: wether", id="another tool"),
        pytest.param(lambda write: write("weather", {"days": 2}), "needs: city of weather", id="a parameter missing"),
    ],
)
def test_calls_that_can_not(findings, write, made, message):
    (finding,) = findings(write(*OSLO), made(write))

    assert message in finding.message
    assert finding.where == "validation row 0"
    assert finding.observed == "8 of 8 answers; 0 can be carried out, base 0"


@pytest.mark.parametrize(
    "write, text",
    [
        pytest.param(hermes, hermes(*OSLO).replace('"Oslo"', "Oslo"), id="no quotes"),
        pytest.param(hermes, hermes(*OSLO)[:30], id="cut off"),
        pytest.param(hermes, '<tool_call>\n{"arguments": {"city": "Oslo"}}\n</tool_call>', id="no name"),
        pytest.param(hermes, '<tool_call>\n{"name": "weather", "arguments": ["Oslo"]}\n</tool_call>', id="a list"),
        pytest.param(hermes, "<tool_call>\n" + "[" * 9000, id="a loop of brackets"),
        pytest.param(mistral, mistral(*OSLO)[:-2], id="Mistral, cut off"),
        pytest.param(mistral_named, mistral_named(*OSLO)[:-1], id="Mistral with names, cut off"),
        pytest.param(deepseek, deepseek(*OSLO).replace("{", ""), id="DeepSeek without a brace"),
        pytest.param(llama, llama(*OSLO)[:-1], id="Llama, cut off"),
        pytest.param(llama, llama(*OSLO) + " That is the weather.", id="Llama, and words behind it"),
    ],
)
def test_calls_that_no_parser_reads(findings, write, text):
    (finding,) = findings(write(*OSLO), text)

    assert "has a tool call that can't be read" in finding.message
    assert "\n" not in finding.message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Let me see.\n" + hermes(*OSLO), id="words before it"),
        pytest.param(hermes(*OSLO) + "\n" + hermes("time", {}), id="two calls"),
        pytest.param(f"<think>\nPerhaps <tool_call>?\n</think>\n{hermes(*OSLO)}", id="thinking about a call"),
        pytest.param(hermes(*OSLO).removesuffix("\n</tool_call>"), id="the end is missing, which parsers forgive"),
        pytest.param(hermes("weather", json.dumps(OSLO[1])), id="arguments as text, which clients get anyway"),
        pytest.param('<tool_call>[{"name": "time", "arguments": {}}]</tool_call>', id="a list of calls"),
    ],
)
def test_what_parsers_forgive(findings, text):
    assert findings(hermes(*OSLO), text) == []


def test_the_share(findings):
    good, bad = hermes(*OSLO), "It is cold."

    assert findings(good, [good] * 7 + [bad]) == []
    (finding,) = findings(good, [good] * 6 + [bad] * 2)
    assert (finding.where, finding.observed[:6]) == ("validation row 6", "2 of 8")
    assert findings(good, [good] * 4 + [bad] * 4, limits={"min_fraction": 0.5}) == []


def test_one_finding_a_kind(findings):
    good = hermes(*OSLO)
    kinds = ["It is cold.", good[:20], hermes("wether", {}), hermes("weather", {})]

    assert len(findings(good, kinds * 2)) == 4


def test_rows_without_calls_are_not_judged(findings):
    """A tool that is declared isn't always to be called; and braces in an answer are no call."""
    plain = row("In Oslo it is cold.")

    assert (
        findings([hermes(*OSLO)] + ["It is cold."] * 7, [hermes(*OSLO)] + ["Fine."] * 7, [CALLING] + [plain] * 7) == []
    )
    for expected, columns in (
        ("It is cold.", plain),
        ('{"name": "Ida", "parameters": {"city": "Oslo"}}', row("x", tools=())),
        ('{"name": "Ida", "age": 7}', plain),
        ("It is cold.", {"prompt": "How is it?", "completion": "It is cold."}),
        ("It is cold.", {"prompt": 7}),
        ("It is cold.", {}),
    ):
        with pytest.raises(NotApplicable, match="no held-out answer calls a tool"):
            findings(expected, "Fine.", columns)


def test_calls_that_are_written_as_text(findings):
    """Without a declaration, names and parameters can't be judged, but calls can be read."""
    columns = {"prompt": "How is it?", "completion": hermes(*OSLO)}

    assert findings(hermes(*OSLO), hermes("anything", {}), columns) == []
    (finding,) = findings(hermes(*OSLO), "It is cold.", columns)
    assert "calls no tool" in finding.message


def test_faults_of_the_data_are_not_the_models(findings):
    undeclared = row(calls=[("clock", {})])

    rows = [CALLING] * 5 + [undeclared] * 3
    texts = [hermes(*OSLO)] * 5 + [hermes("clock", {})] * 3
    assert findings(texts, texts, rows) == []
    with pytest.raises(NotAvailable, match="8 of 8 expected calls can't be read or carried out: see DATA-132"):
        findings(hermes("clock", {}), hermes("clock", {}), undeclared)


def test_a_notation_that_nobody_knows(findings):
    with pytest.raises(NotAvailable, match="response_template"):
        findings("CALL weather(city=Oslo)", "CALL weather(city=Oslo)")


def test_calls_longer_than_the_limit(findings):
    with pytest.raises(NotAvailable, match="set it to 140"):
        findings(hermes(*OSLO), hermes(*OSLO)[:20], tokens=70)


def test_the_notation_of_the_tokenizer_comes_first(findings, tokenizer, monkeypatch):
    fields = {
        "tool_calls": {
            "open_pattern": r"CALL (?P<name>\w+) ",
            "close_pattern": r"\n|\Z",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": {"name": "{name}", "arguments": "{content}"}},
        },
        "content": {"content": "text"},
    }
    own = {"start_anchor": "<|im_start|>assistant\n", "defaults": {"role": "assistant"}, "fields": fields}
    monkeypatch.setattr(tokenizer.hf, "response_template", own, raising=False)

    assert findings('CALL weather {"city": "Oslo"}', 'CALL weather {"city": "Bergen"}') == []
    assert len(findings('CALL weather {"city": "Oslo"}', "CALL weather {}")) == 1


def test_a_template_that_trl_knows(judge, answer, project):
    """Qwen3's own template: what the gate renders is what is read back."""
    import trl

    folder = project.folder / "model"
    shutil.copytree(project.config["model"]["name_or_path"], folder)
    shutil.copy(Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja", folder / "chat_template.jinja")
    project.set(model={"name_or_path": "model"})
    project.rows([CALLING] * 8, "validation.jsonl")
    config = load_config(project.write())
    tokenizer = load_tokenizer(config)
    from preflight.data.prepare import prepare
    from preflight.evaluation.questions import questions_of

    asked = questions_of(config, tokenizer, prepare(config, tokenizer).validation)
    wanted = tokenizer.hf.decode(asked[0].expected)
    assert '"name": "weather"' in wanted

    def of(text):
        made = [replace(answer(text, row=n), expected=wanted, columns=one.columns) for n, one in enumerate(asked)]
        return judge(check, config=config, tokenizer=tokenizer, answers=made)

    assert of(wanted) == []
    assert len(of(wanted.replace("weather", "wether"))) == 1

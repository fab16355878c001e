"""Whatever a data file holds, preparing it is never an exception, and every row is prepared or a counted problem."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preflight.config import load_config
from preflight.data.prepare import prepare
from preflight.model.tokenizer import load_tokenizer

many = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ODD = ["", " ", "\x00", "\ud800", "\udc00x", "<|im_end|>", "{{ x }}", "user", "assistant", "human", "gpt", "[]", "{}"]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**30), 1e308, float("nan"), float("inf")])
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(ODD)
)
KEYS = st.sampled_from(["role", "content", "from", "value", "type", "text", "tool_calls", "", "\ud800"]) | st.text(
    max_size=4
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
TOP = "messages conversations prompt completion instruction input output system text tools chat_template_kwargs task"
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool"]) | values},
        optional={"content": values, "tool_calls": values, "from": values, "value": values},
    ),
    max_size=4,
)
rows = st.dictionaries(st.sampled_from(TOP.split()) | st.just(""), messages | values, max_size=5) | values


@pytest.fixture(scope="module")
def judge(tiny, tmp_path_factory):
    """Prepare a data file of these bytes; give back the splits."""
    folder = tmp_path_factory.mktemp("data")
    tokenizer = None

    def prepare_bytes(content, suffix, **data):
        nonlocal tokenizer
        file = folder / f"train{suffix}"
        file.write_bytes(content)
        path = folder / "config.yaml"
        sections = {
            "model": {"name_or_path": str(tiny)},
            "data": {"train": file.name, "task_field": "task", **data},
            "training": {"output_dir": "run", "assistant_only_loss": True, "max_length": 64},
        }
        path.write_text(json.dumps(sections))
        config = load_config(path)
        tokenizer = tokenizer or load_tokenizer(config)
        made = prepare(config, tokenizer)
        for split in made.splits.values():
            assert len(split.examples) == len(split.profile) == split.rows
            assert all(problem["problem"].encode() and problem["where"] for problem in split.problems)
            assert len(split.problems) <= split.dropped
        return made

    return prepare_bytes


@many
@given(
    st.lists(rows, max_size=4), st.sampled_from(["auto", "messages", "prompt-completion", "alpaca", "sharegpt", "text"])
)
def test_any_json_in_a_jsonl_file(judge, lines, shape):
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    made = judge(content, ".jsonl", format=shape)

    assert made.train.rows + made.train.dropped == max(len(lines), 1)  # an empty file is one problem


@many
@given(rows | st.lists(rows, max_size=3))
def test_any_json_in_a_json_file(judge, value):
    judge(json.dumps(value).encode(), ".json")


@settings(many, max_examples=60)
@given(
    st.binary(max_size=200) | st.text(max_size=80).map(str.encode),
    st.sampled_from([".jsonl", ".json", ".csv", ".parquet"]),
)
def test_any_bytes(judge, content, suffix):
    judge(content, suffix)


@settings(many, max_examples=40)
@given(st.text(st.sampled_from(list('prompt,completion\n\r"; \x00é')), max_size=60))
def test_any_csv(judge, text):
    judge(b"prompt,completion\n" + text.encode(), ".csv")


NESTED = "[" * 400 + "]" * 400
DEEP = "[" * 900 + "]" * 900
DEEPEST = "[" * 100_000 + "]" * 100_000
CHAT = '{"messages": [{"role": "user", "content": %s}, {"role": "assistant", "content": %s, "x": %s}]}'


@pytest.mark.parametrize(
    "line, rows",
    [
        pytest.param('{"text": "\\ud83d"}', 0, id="half a character"),
        pytest.param('{"text": "\\ud83e\\ude94"}', 1, id="a whole one in two escapes"),
        pytest.param('{"\\ud800": 1, "text": "x"}', 0, id="half a character in a key"),
        pytest.param(CHAT % ('"a\\u0000b"', '"\\u0000"', 1), 1, id="NUL"),
        pytest.param(CHAT % (NESTED, '"x"', 1), 0, id="nested content"),
        pytest.param(CHAT % (DEEP, '"x"', 1), 0, id="deeply nested content"),
        pytest.param(CHAT % ('"x"', '"x"', NESTED), 1, id="nested extra"),
        pytest.param(f'{{"text": "x", "task": {DEEP}}}', 1, id="deeply nested task"),
        pytest.param(f'{{"text": "x", "y": {DEEPEST}}}', 0, id="nested beyond what can be parsed"),
        pytest.param('{"text": "x", "y": %s}' % ("9" * 5000), 0, id="an integer beyond what can be parsed"),
        pytest.param('{"text": "x", "task": %s}' % ("9" * 4000), 1, id="a very long integer"),
        pytest.param('{"text": NaN}', 0, id="NaN"),
        pytest.param('{"text": "x", "task": NaN, "": -Infinity}', 1, id="NaN beside the text"),
        pytest.param('{"conversations": [{"from": ["gpt"], "value": "x"}]}', 0, id="a list for a role"),
        pytest.param('{"conversations": [{"from": "gpt"}]}', 0, id="a turn without a value"),
        pytest.param('{"messages": [{"role": {"a": 1}, "content": "x"}]}', 0, id="an object for a role"),
        pytest.param('{"text": "%s"}' % ("lamp " * 200_000), 1, id="a text of 1 MB"),
        pytest.param(CHAT % ('"x"', f'"{"é" * 500_000}"', 1), 1, id="an answer of 1 MB"),
    ],
)
def test_odd_rows(judge, line, rows):
    made = judge(line.encode() + b"\n", ".jsonl")

    assert (made.train.rows, made.train.dropped) == (rows, 1 - rows)


def test_a_csv_cell_of_1_mb_is_read(judge):
    made = judge(b"text\n" + b"lamp " * 200_000 + b"\nshort\n", ".csv")

    assert made.train.rows == 2

"""Whatever a data file holds, reading and preparing it is never an exception; a row is an example or a problem."""

import copy
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preflight.checks.data_format.role_order import fault
from preflight.config import load_config
from preflight.data import readers, shapes
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


# --- reading, without a tokenizer: fast enough for many ---------------------------------------------------------------

often = settings(many, max_examples=400)
USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}
CALL = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"x": {"type": "string"}}}}]
SHARED = [{"from": "human", "value": "Hi"}, {"from": "function_call", "value": '{"name": "f"}'}]
RIGHT = [
    {"messages": [USER, ANSWER], "chat_template_kwargs": {"x": 1}, "id": 1},
    {"messages": [USER, {**ANSWER, "tool_calls": [CALL]}, {**USER, "role": "tool"}, ANSWER], "tools": TOOLS},
    {"messages": [{**USER, "content": [{"type": "text", "text": "Hi"}]}, {**ANSWER, "function_call": {"name": "f"}}]},
    {"messages": json.dumps([USER, ANSWER]), "tools": json.dumps(TOOLS)},
    {"messages": {"role": ["user", "assistant"], "content": ["Hi", "Hello."]}},
    {"conversations": [*SHARED, {"from": "observation", "value": "1"}], "system": "Be brief.", "tools": "[]"},
    {"prompt": [USER], "completion": [ANSWER]},
    {"prompt": "Hi", "completion": "Hello.", "label": "x"},
    {"instruction": "Hi", "input": "", "output": "Hello.", "history": [["a", "b"]], "images": []},
    {"text": "Hi", "audio": None},
    {"prompt": "?", "chosen": "a", "rejected": "b"},
    {"question": "?", "answer": [USER, ANSWER]},
]


def places(value, path=()):
    """Every place in a value, the value itself first."""
    yield path
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], new)
    return changed


@st.composite
def nearly_right(draw):
    """A row of some shape with any JSON value in any one of its places."""
    row = draw(st.sampled_from(RIGHT))
    return replaced(row, draw(st.sampled_from(list(places(row)))), draw(values))


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Read a file of these bytes and normalise its rows; count rows and broken places."""
    folder = tmp_path_factory.mktemp("bytes")

    def look(content, name):
        file = folder / name
        file.write_bytes(content)
        items = list(readers.read(file))
        for item in items:
            assert item.where.encode()
            if isinstance(item, readers.Broken):
                assert item.problem.encode()
            else:
                examine(item.value)
        return sum(isinstance(item, readers.Row) for item in items), len(items)

    return look


def examine(row):
    """A row is an example that templates and tokenizers can take, or its error says what is wrong in few words."""
    for shape in ("auto", *shapes.COLUMNS):
        try:
            example = shapes.normalise(row, shape)
        except shapes.ShapeError as error:
            said = f"{error} {error.fix}".encode()
            assert 10 < len(said) < 2000, said
            continue
        for message in example.messages:
            assert message["role"] in shapes.ROLES
            assert isinstance(message["content"], str)
        assert all(isinstance(tool, dict) for tool in example.tools)
        given = [example.prompt, example.completion, example.tools, example.messages, example.options]
        json.dumps(given, default=str, ensure_ascii=False).encode()
        fault("".join(message["role"][0] for message in example.messages) or "t")


@often
@given(st.lists(nearly_right() | rows, max_size=3))
def test_any_json_value_in_any_place_of_a_row_is_read(survey, lines):
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    by_line, items = survey(content, "a.jsonl")
    by_list, _ = survey(json.dumps(lines).encode(), "a.json")

    assert items == max(len(lines), 1)
    assert by_line == by_list
    assert survey(gzip.compress(content), "a.jsonl.gz")[0] == by_line


@settings(often, max_examples=300)
@given(st.lists(nearly_right(), min_size=1, max_size=3))
def test_any_columns_of_parquet_and_arrow_are_read(survey, lines):
    try:
        table = pa.Table.from_pylist([line for line in lines if isinstance(line, dict)])
    except (pa.ArrowException, OverflowError, UnicodeEncodeError, AttributeError):
        return  # columns of mixed types, which no such file can hold
    for name, write in (("a.parquet", write_parquet), ("a.arrow", write_arrow)):
        if (content := write(table)) is not None:
            assert survey(content, name) == (table.num_rows, table.num_rows)


def write_parquet(table):
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(table, sink)
    except pa.ArrowException:
        return None  # an object without keys
    return sink.getvalue().to_pybytes()


def write_arrow(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


SUFFIXES = [
    *(".jsonl", ".json", ".csv", ".parquet", ".arrow"),
    *(".jsonl.gz", ".json.gz", ".csv.gz", ".jsonl.zst", ".json.zst", ".csv.zst"),
]
TABLE = pa.Table.from_pylist([{"messages": [USER, ANSWER], "n": number} for number in range(20)])
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in [*RIGHT, {"text": "Où est l'été ?"}]).encode()
WHOLE = {
    ".jsonl": LINES,
    ".json": b"[" + LINES.strip().replace(b"\n", b",\n") + b"]",
    ".csv": b'prompt,completion\n"a ""b""\nc",d\ne,f\n',
    ".jsonl.gz": gzip.compress(LINES),
    ".parquet": write_parquet(TABLE),
    ".arrow": write_arrow(TABLE),
}


@often
@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode), st.sampled_from(SUFFIXES), st.booleans())
def test_any_bytes_are_read(survey, content, suffix, packed):
    survey(gzip.compress(content) if packed and suffix.endswith(".gz") else content, f"a{suffix}")


@often
@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4), st.integers(0, 4)), max_size=4),
    st.floats(0, 1) | st.just(1.0),
)
def test_a_file_that_is_damaged_anywhere_is_read(survey, suffix, changes, end):
    content = bytearray(WHOLE[suffix])
    for place, new, gone in changes:
        at = int(place * len(content))
        content[at : at + gone] = new
    survey(bytes(content[: int(end * len(content))]), f"a{suffix}")


@often
@given(st.text(st.sampled_from(list('prompt,completion\n\r"; \x00é')), max_size=60))
def test_any_csv_is_read(survey, text):
    survey(b"prompt,completion\n" + text.encode(), "a.csv")


# --- preparing --------------------------------------------------------------------------------------------------------


@many
@given(
    st.lists(nearly_right() | rows, max_size=4),
    st.sampled_from(["auto", "messages", "prompt-completion", "alpaca", "sharegpt", "text"]),
)
def test_any_json_in_a_jsonl_file(judge, lines, shape):
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    made = judge(content, ".jsonl", format=shape)

    assert made.train.rows + made.train.dropped == max(len(lines), 1)  # an empty file is one problem


@many
@given(rows | st.lists(rows, max_size=3))
def test_any_json_in_a_json_file(judge, value):
    judge(json.dumps(value).encode(), ".json")


@settings(many, max_examples=30)
@given(
    st.binary(max_size=200) | st.text(max_size=80).map(str.encode),
    st.sampled_from([".jsonl", ".json", ".csv", ".parquet", ".arrow"]),
)
def test_any_bytes(judge, content, suffix):
    judge(content, suffix)


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


@pytest.mark.parametrize("right", [RIGHT, [{"text": "Hi"}]], ids=["any shape", "text"])
def test_no_check_breaks_on_odd_data(project, right):
    """The whole gate on rows that are odd in many ways."""
    texts = ["", " ", "\x00", "<|im_end|>", "{{ x }}", "lamp " * 999, "\u200b", None, [], {}, 5]
    odd = [replaced(row, path, value) for row in right for path in places(row) for value in texts]
    lines = "".join(json.dumps(row) + "\n" for row in odd) + "{\n[]\n\xff\n"
    for name in ("train.jsonl", "validation.jsonl"):
        (project.folder / name).write_bytes(lines.encode("latin-1"))
    run = project.gate()

    assert [check["code"] for check in run.report["checks"] if check["outcome"] == "error"] == [], run.screen
    assert run.outcome("DATA-100") == run.outcome("DATA-101") == "failed"

"""Tool calls that nothing could carry out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
GOOD = '{"city": "Oslo"}'


def row(*calls, tools=(TOOL,), results=(), **more):
    messages = [{"role": "user", "content": "Rain?"}, {"role": "assistant", "content": "", "tool_calls": list(calls)}]
    messages += [{"role": "tool", "content": "yes", "tool_call_id": of} for of in results]
    return {"messages": [*messages, {"role": "assistant", "content": "It rains."}], "tools": list(tools), **more}


def call(arguments=GOOD, name="weather", **more):
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize(
    "example, varieties",
    [
        pytest.param(row(call('{"city": "Oslo"')), {"arguments"}, id="broken JSON"),
        pytest.param(row(call("{'city': 'Oslo'}")), {"arguments"}, id="Python"),
        pytest.param(row(call('["Oslo"]')), {"arguments"}, id="a list as text"),
        pytest.param(row(call(["Oslo"])), {"arguments"}, id="a list"),
        pytest.param(row(call('"{\\"city\\": 1}"')), {"arguments"}, id="encoded twice"),
        pytest.param(row(call(name="forecast")), {"undeclared"}, id="another tool"),
        pytest.param(row(call("x", name="forecast")), {"undeclared", "arguments"}, id="both"),
        pytest.param(row(call(id="a"), results=["b"]), {"orphan"}, id="a result of no call"),
        pytest.param(
            {"messages": [{"role": "user", "content": "Rain?"},
                          {"role": "assistant", "content": "<tool_call>\n{'name': 'weather'}\n</tool_call>"}]},
            {"arguments"}, id="Python in the text"),
        pytest.param(
            {"messages": [{"role": "user", "content": "Rain?"},
                          {"role": "assistant", "content": '<tool_call>{"name": "x", "arguments": {}}</tool_call>'}],
             "tools": [TOOL]}, {"undeclared"}, id="another tool in the text"),
    ],
)  # fmt: skip
def test_calls_that_nothing_could_carry_out_are_found(look, example, varieties):
    found = look([example])

    assert set(found.varieties["call"]) == varieties
    assert found.count("calling") == 1


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(row(call()), id="arguments as text"),
        pytest.param(row(call({"city": "Oslo"})), id="arguments as an object"),
        pytest.param(row(call("{}"), call({}), call("")), id="no arguments"),
        pytest.param(row(call(name="anything"), tools=()), id="no declarations in the row"),
        pytest.param(row(call(name="python"), chat_template_kwargs={"builtin_tools": ["python"]}), id="a built-in"),
        pytest.param(row(call(id="a"), call(id="b"), results=["b", "a"]), id="results in another order"),
        pytest.param(row(call(), results=["a"]), id="calls without ids"),
        pytest.param(row(call(), tools=[{"name": "weather"}]), id="a bare declaration"),
        pytest.param(row({"type": "custom", "custom": {"name": "grep", "input": "x"}}), id="free text"),
        pytest.param({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}],
                      "tools": [TOOL]}, id="tools that are not used"),
        pytest.param({"conversations": [{"from": "human", "value": "Rain?"},
                                        {"from": "function_call", "value": '{"name": "weather", "arguments": {}}'},
                                        {"from": "observation", "value": "yes"}, {"from": "gpt", "value": "Yes."}],
                      "tools": '[{"name": "weather", "parameters": {}}]'}, id="ShareGPT"),
    ],
)  # fmt: skip
def test_calls_that_are_right_are_not_found(look, example):
    assert look([example]).count("call") == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    parts=st.fixed_dictionaries({}, optional={"id": JSON, "type": JSON, "function": JSON, "arguments": JSON}), of=JSON
)
def test_no_call_crashes_the_pass(look, parts, of):
    look([row(parts, results=[of])])


@given(name=JSON, arguments=JSON, tool=st.fixed_dictionaries({"function": JSON}))
def test_no_function_crashes_the_pass(look, name, arguments, tool):
    look([row(call(arguments, name), tools=[tool], results=[name])])

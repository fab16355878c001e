import contextlib
import json
from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data import source
from preflight.data.conversation import function_of
from preflight.data.fidelity import seen
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.model.tokenizer import Tokenizer

ITEM = "Consistent template applied to all examples"
# What may be missing, with what to do about it.
LOST = {
    "system-lost": (
        "the system prompt",
        "Set model.chat_template to a template that takes a system message, or put it before the first user message.",
    ),
    "text-lost": ("the words of a message", "Set model.chat_template to a template that renders these messages."),
    "tool-lost": (
        "a declared tool",
        "Set model.chat_template to a template that renders tools, or describe them in the system message.",
    ),
    "call-lost": ("a tool call", "Set model.chat_template to a template that renders tool_calls."),
}


@check("TOK-112", "nothing-dropped", severity="required", section=1, item=ITEM, thresholds={"max_fraction": 0.01})
def the_template_drops_nothing_of_a_conversation(train: Split, evidence: Evidence, limits: Any) -> None:
    """Everything that a conversation says is in the rendered text.

    What it checks: The words of each message, the name of each declared tool, and the name and arguments of each call
    must be in the text that the template makes. Space at their ends, other notations of a tool's result and reasoning
    (TOK-110) are no loss.
    Why it matters: Templates drop what they don't know without a word: a system prompt, tools, calls, content beside a
    call. The model is trained on other conversations than the ones you wrote, and learns to call functions that no
    prompt has shown it.
    How to fix: Use a template that knows these roles and keys (`model.chat_template`), or rewrite the rows for it.
    Evidence: oumi-ai/oumi#2599 (tools), NVIDIA-NeMo/Automodel#3144, QwenLM/Qwen3#1314. Threshold: 1 % of rows.
    """
    found = {flag: train.flagged(flag) for flag in LOST}
    rows = {flag: len(lost) for flag, lost in found.items() if len(lost)}
    shown = ", ".join(f"{LOST[flag][0]} in {counted(count, 'row')}" for flag, count in rows.items())
    evidence(f"lost: {shown or 'nothing'}", **{flag.replace("-", "_"): count for flag, count in rows.items()})
    report_findings(
        Finding(
            f"the template drops {LOST[flag][0]} in {len(lost):,} of {train.rows:,} rows",
            **seen(lost),
            expected="everything that was said in the rendered text",
            why="The model is trained on another conversation than the one you wrote.",
            fix=LOST[flag][1],
        )
        for flag, lost in found.items()
        if len(lost) > limits.max_fraction * train.rows
    )


@check("TOK-113", "call-arguments", severity="required", section=1, item=ITEM, thresholds={"max_fraction": 0.01})
def arguments_of_tool_calls_are_rendered_once(
    config: Config, train: Split, tokenizer: Tokenizer, evidence: Evidence, limits: Any
) -> None:
    r"""Arguments of tool calls are rendered as the object they are.

    What it checks: Whether arguments that are JSON text are quoted a second time (`"{\"city\": …}"`), or those that are
    an object are written in Python's notation (`{'city': …}`).
    Why it matters: The model learns to write arguments that no parser of tool calls takes.
    How to fix: Write `arguments` in the form that the template expects: an object where it puts them through `tojson`,
    JSON text where it writes them as they are.
    Evidence: oumi-ai/oumi#2599, huggingface/transformers#45419, axolotl-ai-cloud/axolotl#3136. Threshold: 1 % of rows.
    """
    found = train.flagged("call-quoted")
    evidence(f"{counted(len(found), 'row')} with arguments in the wrong notation", rows=len(found))
    if len(found) <= limits.max_fraction * train.rows:
        return
    twice = str(found.iloc[0]["text"]).startswith('"')
    if twice and not _takes_objects(config, tokenizer, int(found.iloc[0]["row"])):
        return  # the template wants text, and quoting it is the model's own notation
    report_findings(
        [
            Finding(
                f"the arguments of tool calls are {'quoted twice' if twice else 'in Python notation'} in "
                f"{counted(len(found), 'row')}",
                **seen(found),
                expected='{"name": value}, as JSON' if twice else "JSON, with double quotes",
                why="No parser of tool calls takes what the model will write.",
                fix="Write arguments as an object, not as JSON text."
                if twice
                else "Write arguments as JSON text, or use a template that puts them through tojson.",
            )
        ]
    )


def _takes_objects(config: Config, tokenizer: Tokenizer, number: int) -> bool:
    """Whether the template renders the calls of a row with their arguments as objects."""
    examples = (example for row, _, example in source.examples(config, "train") if row == number)
    if (example := next(examples, None)) is None:
        return True
    messages = [{**message, "tool_calls": _as_objects(message.get("tool_calls"))} for message in example.messages]
    try:
        tokenizer.render(messages, tools=example.tools, options=example.options)
    except Exception:  # a template is a program: it raises anything
        return False
    return True


def _as_objects(calls: Any) -> Any:
    """Calls whose arguments are JSON text, with what the text says in its place."""
    changed = []
    for call in calls if isinstance(calls, list) else ():
        function = dict(function_of(call))
        with contextlib.suppress(KeyError, ValueError, TypeError, RecursionError):
            function["arguments"] = json.loads(function["arguments"])
        changed.append({**call, "function": function} if "function" in call else function)
    return changed

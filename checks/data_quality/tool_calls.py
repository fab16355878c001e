from typing import Any

from preflight import check, report_findings
from preflight.data.hygiene import Hygiene
from preflight.findings import not_applicable
from preflight.fixtures import Evidence


@check(
    "DATA-132",
    "tool-calls-valid",
    severity="required",
    section=1,
    item="Format consistency: all examples follow an identical template",
    thresholds={"max_fraction": 0.01},
)
def tool_calls_can_be_carried_out(hygiene: Hygiene, evidence: Evidence, limits: Any) -> None:
    """Tool calls could be carried out: their arguments are JSON objects, and their tools are declared.

    What it checks: Arguments that aren't a JSON object, as text or not; calls of a tool that isn't among those that the
    row declares; results whose `tool_call_id` is that of no call. Rows without declarations are not asked for them, and
    tools that are declared and not used are as it should be. Calls in `<tool_call>` within the text are read as well.
    Why it matters: The model learns to write calls that no parser accepts, and to call tools that it was never told of.
    How to fix: Write arguments with `json.dumps`; add the missing declarations to the row's `tools`; give each result
    the id of its call.
    Evidence: oumi-ai/oumi#2599, oumi-ai/oumi#2605, huggingface/transformers#45419, axolotl-ai-cloud/axolotl#3136.
    Threshold: 1 % of the rows that call tools.
    """
    calling = hygiene.count("calling")
    if not calling:
        not_applicable("no row calls tools")
    _, seen = hygiene.evidence("call", "")
    evidence(f"{hygiene.count('call'):,} of {calling:,} rows with tool calls at fault", **seen, calling=calling)
    if hygiene.count("call") <= limits.max_fraction * calling:
        return
    report_findings(
        hygiene.finding("call", what, message=message, expected=expected, why=why, fix=fix)
        for what, message, expected, why, fix in (
            (
                "arguments",
                "have a tool call whose arguments are no JSON object",
                'such as {"city": "Oslo"}',
                "The model learns calls that no parser accepts.",
                "Write the arguments of {rows} with json.dumps, or drop them.",
            ),
            (
                "undeclared",
                "call a tool that they don't declare",
                "a tool of the row's tools",
                "The model learns to call tools that it was never told of.",
                "Add the declarations to the tools of {rows}, or drop them.",
            ),
            (
                "orphan",
                "have a tool's result that answers no call",
                "the id of a call before it",
                "The result is put behind the wrong call, or a strict template refuses the row.",
                "Give the results of {rows} the ids of their calls.",
            ),
        )
        if hygiene.count("call", what)
    )

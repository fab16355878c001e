from typing import Any

from preflight import Finding, check, not_applicable, not_available, report_findings
from preflight.config import Config
from preflight.data.hygiene.calls import names_of
from preflight.data.shapes import Example, ShapeError, normalise
from preflight.evaluation import calls
from preflight.evaluation.budget import Sampled
from preflight.evaluation.calls import Kind, Notation
from preflight.evaluation.generate import Answer
from preflight.evaluation.metrics import spoken
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.model.tokenizer import Tokenizer

Row = tuple[Answer, Example]
SAID: dict[Kind, tuple[str, str, str]] = {
    "none": (
        "the answer calls no tool",
        "a tool call, as in the data",
        "Train longer, or see that the rows that call tools are supervised (TOK-102).",
    ),
    "broken": (
        "the answer has a tool call that can't be read ({})",
        "calls in the template's own notation",
        "Train longer, or raise evaluation.max_new_tokens if the call is cut off.",
    ),
    "undeclared": (
        "the answer calls a tool that was not declared: {}",
        "a tool of the row's tools",
        "Have the tools vary more among the training rows, so that the model reads their declarations.",
    ),
    "missing": (
        "the answer leaves out a parameter that the tool needs: {}",
        "all of the tool's required parameters",
        "See that the training rows give every required parameter, and train longer.",
    ),
}


@check(
    "POST-119",
    "tool-calls-parse",
    severity="required",
    section=6,
    item="Formatting correct: output matches expected format",
    thresholds={"min_fraction": 0.8},
)
def calls_in_answers_can_be_carried_out(
    config: Config, answers: Sampled[Answer], tokenizer: Tokenizer, evidence: Evidence, limits: Any
) -> None:
    """Where a tool is to be called, the trained model calls one in a way that can be carried out.

    What it checks: Greedy answers to held-out prompts whose expected answer calls tools: that they have a call, that it
    can be read, that it names a tool of the row, and that it has the parameters that the tool requires. Which tool and
    which values are right is a matter for evaluation.metrics. Calls are read by transformers, in the notation of the
    tokenizer (its response_template), of TRL for templates that it knows, or else in that of Qwen, Mistral, DeepSeek or
    Llama: the one that reads the expected answers. Rows whose expected call has such a fault itself are left out.
    Why it matters: A call that can't be read reaches the user as text, and a wrong one fails in the tool.
    How to fix: Look at the answers in the report; DATA-132 says whether the data has the same fault.
    Evidence: oumi-ai/oumi#2599 and huggingface/transformers#45419 (calls that no parser accepts). Threshold: 80 %, as
    of every format (POST-107).
    """
    limit = config.evaluation.max_new_tokens
    calling = [row for answer in answers if (row := _row(config, answer)) and _calls(tokenizer.hf, row)]
    if not calling:
        not_applicable("no held-out answer calls a tool")
    short = [row for row in calling if row[0].expected_tokens < limit]
    if not short:
        longest = max(answer.expected_tokens for answer, _ in calling)
        not_available(f"every expected call is longer than evaluation.max_new_tokens {limit}: set it to {2 * longest}")
    notation, judged = _readable(tokenizer.hf, short)
    if len(judged) < len(short) / 2:
        not_available(
            f"{len(short) - len(judged)} of {counted(len(short), 'expected call')} can't be read or carried out: see "
            "DATA-132, or give tokenizer_config.json a response_template for its notation"
        )
    found = [calls.fault_in(tokenizer.hf, notation, spoken(answer.tuned.text), example) for answer, example in judged]
    base = [calls.fault_in(tokenizer.hf, notation, spoken(answer.base.text), example) for answer, example in judged]
    kinds = [fault.kind for fault in found if fault]
    good, before = found.count(None), base.count(None)
    said = f"{good} of {len(judged)} answers that are to call tools can be carried out (base: {before}){answers.note}"
    evidence(said, good=good, base=before, answers=len(judged), **{kind: kinds.count(kind) for kind in SAID})
    if good >= limits.min_fraction * len(judged):
        return
    findings = []
    for kind, (message, expected, fix) in SAID.items():
        if kind in kinds:
            (bad, _), fault = next(pair for pair in zip(judged, found, strict=True) if pair[1] and pair[1].kind == kind)
            findings.append(
                Finding(
                    f"{message.format(fault.detail if fault else '')}: {bad.tuned.text.strip()[:100]!r}",
                    where=bad.where,
                    observed=f"{kinds.count(kind)} of {len(judged)} answers; {good} can be carried out, base {before}",
                    expected=f"{expected}, in at least {limits.min_fraction:.0%}",
                    why="No program can carry it out: the user sees the raw call, or an error.",
                    fix=fix,
                )
            )
    report_findings(findings)


def _row(config: Config, answer: Answer) -> Row | None:
    try:
        return (answer, normalise(answer.columns, config.data.format)) if answer.columns else None
    except ShapeError:
        return None


def _calls(hf: Any, row: Row) -> bool:
    """Whether the expected answer calls a tool: as its message says, or in its words."""
    example = row[1]
    first = next((said for said in example.messages[example.answer_from :] if said["role"] == "assistant"), {})
    if first.get("tool_calls"):
        return True
    known = calls.notations(hf, declared=bool(names_of(example)))
    return any(_fault(hf, notation, row) is None for notation in known)


def _readable(hf: Any, rows: list[Row]) -> tuple[Notation, list[Row]]:
    """The notation in which most expected answers are sound, and those that are."""
    known = calls.notations(hf, declared=any(names_of(example) for _, example in rows))
    sound = [[row for row in rows if _fault(hf, one, row) is None] for one in known]
    best = max(range(len(known)), key=lambda number: len(sound[number]))
    return known[best], sound[best]


def _fault(hf: Any, notation: Notation, row: Row) -> Kind | None:
    fault = calls.fault_in(hf, notation, spoken(row[0].expected), row[1])
    return fault.kind if fault else None

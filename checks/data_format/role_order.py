from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from preflight import Finding, check, report_findings
from preflight.data.store import Prepared, Split
from preflight.findings import counted
from preflight.fixtures import Evidence

# What may follow on what, by the roles' initials; ^ is the start, $ the end, and s stands for developer too.
FOLLOWS: Mapping[str, str] = {"^": "su", "s": "su", "u": "a", "a": "ut$", "t": "ta"}
MERGE = "Merge them into one turn, or drop the row."
UNANSWERED = "Add the assistant's answer, or drop what is behind its last one."
# What follows where it may not, and what to do.
FAULTS: Mapping[str, tuple[str, str]] = {
    "uu": ("two user turns stand in a row", MERGE),
    "aa": ("two assistant turns stand in a row", MERGE),
    "^a": ("the assistant speaks first", "Put the user's turn before it, or drop the assistant's first turn."),
    "sa": ("the assistant speaks first", "Put the user's turn before it, or drop the assistant's first turn."),
    "u$": ("the user has the last word: the question has no answer", UNANSWERED),
    "t$": ("a tool's result is the last message: the assistant never takes it up", UNANSWERED),
    "s$": ("there is nothing but a system message", "Drop the row."),
    "tu": ("the user follows on a tool's result: the assistant never takes it up", "Add the assistant's turn between."),
    "ut": ("a tool's result follows on the user: no assistant called it", "Add the assistant's turn with the call."),
    "st": ("a tool's result stands first: no assistant called it", "Add the turns before it, or drop the row."),
    "^t": ("a tool's result stands first: no assistant called it", "Add the turns before it, or drop the row."),
}
INSIDE = ("a system message stands behind other messages", "Move it to the front, or make it part of a user turn.")


@check(
    "DATA-136",
    "role-order",
    severity="recommended",
    section=1,
    item="Format consistency: all examples follow an identical template",
    thresholds={"max_fraction": 0.01},
)
def the_roles_of_each_conversation_follow_on_each_other(prepared: Prepared, evidence: Evidence, limits: Any) -> None:
    """The roles of each conversation follow on each other as in a real one.

    What it checks: Behind an optional system or developer message, user and assistant take turns; a tool's results
    stand behind the assistant's turn that called it, and the assistant takes them up; the last word is the assistant's.
    Plain text has no roles and is left out.
    Why it matters: Templates that are strict about it refuse such a row (TOK-100). The others render it into a
    conversation that never happens at inference: the model learns to answer itself, or to wait for a question it has.
    How to fix: Merge turns of one role that stand in a row, give the last question its answer or drop it, move system
    messages to the front. If many rows are wrong, the roles are probably swapped.
    Evidence: unslothai/unsloth#334, huggingface/smol-course#260, huggingface/alignment-handbook#93. Threshold: 1 % of
    the rows of a split.
    """
    findings: list[Finding] = []
    seen: dict[str, int] = {}
    for split in prepared.splits.values():
        wrong = _wrong(split)
        share = len(wrong) / max(split.rows, 1)
        seen[split.name] = len(wrong)
        findings += _findings(wrong, split) if share > limits.max_fraction else []
    rows = sum(split.rows for split in prepared.splits.values())
    evidence(f"{sum(seen.values())} of {counted(rows, 'row')} out of order", wrong=seen)
    report_findings(findings)


def fault(roles: str) -> tuple[str, str] | None:
    """What is wrong first with an order of roles, given by their initials, and what to do; None if it is right."""
    places = f"^{roles.replace('d', 's')}$"
    pairs = (before + after for before, after in pairwise(places) if after not in FOLLOWS[before])
    wrong = next(pairs, None)
    return FAULTS.get(wrong, INSIDE) if wrong else None


def _wrong(split: Split) -> Any:
    """The profile of the rows that are out of order, with the fault."""
    profile = split.profile
    plain = (profile["roles"] == "t") & profile["shape"].isin(["text", "prompt-completion"])
    found = {roles: fault(roles) for roles in profile["roles"].unique()}
    faults = profile["roles"].map(found).mask(plain)
    return profile.assign(fault=faults)[faults.notna()]


def _findings(wrong: Any, split: Split) -> list[Finding]:
    return [
        Finding(
            f"{text}, in {len(rows)} of {counted(split.rows, 'row')} of {split.name}",
            where=rows["where"].iloc[0],
            observed=f"{' '.join(rows['roles'].iloc[0])}; rows: {', '.join(rows['where'].head(5))}",
            expected="system first if at all, then user and assistant in turn, the assistant last",
            why="A strict template refuses the row; any other makes a conversation of it that never happens.",
            fix=fix,
        )
        for (text, fix), rows in wrong.groupby("fault", sort=False)
    ]

from typing import Any

from preflight import Finding, check, report_findings
from preflight.data.fidelity import seen
from preflight.data.store import Split
from preflight.findings import counted, not_applicable
from preflight.fixtures import Evidence
from preflight.model.tokenizer import Tokenizer


@check(
    "TOK-115",
    "no-typed-tokens",
    severity="recommended",
    section=1,
    item="Special tokens correctly placed (BOS, EOS, pad)",
    thresholds={"max_fraction": 0.01},
)
def no_special_token_is_typed_in_a_message(train: Split, evidence: Evidence, limits: Any) -> None:
    """Messages hold no special tokens as text.

    What it checks: Whether a special token of the tokenizer, such as its end of turn, is written out in a message.
    Those around reasoning belong there.
    Why it matters: The tokenizer reads it as the token itself: a turn ends in the middle, or a message opens another.
    An end of text typed behind each answer stands there twice.
    How to fix: Remove the tokens; the template writes them. In text about templates, break them up.
    Evidence: huggingface/transformers#29279 (tokens typed in a message act as the template's own). Threshold: 1 % of
    rows, and one row is always allowed: a text about chat templates may hold one.
    """
    found = train.flagged("typed-special")
    evidence(f"{counted(len(found), 'row')} of {train.rows:,} with a special token as text", rows=len(found))
    if len(found) <= max(limits.max_fraction * train.rows, 1):
        return
    report_findings(
        [
            Finding(
                f"special tokens are typed in the messages of {len(found):,} of {train.rows:,} rows",
                **seen(found),
                expected="none; the template writes them",
                why="They end or open turns in the middle of a message.",
                fix="Remove them from the messages.",
            )
        ]
    )


@check(
    "TOK-116",
    "prompt-by-template",
    severity="recommended",
    section=1,
    item="Consistent template applied to all examples",
    thresholds={"max_fraction": 0.01},
)
def no_prompt_format_is_written_by_hand(train: Split, tokenizer: Tokenizer, evidence: Evidence, limits: Any) -> None:
    """Plain text of a chat model is not put into a prompt format by hand.

    What it checks: If the tokenizer has a chat template, whether plain text holds the markers of a chat format
    (`<|im_start|>user`, `[INST]`, `### Instruction:`, …) and not, letter by letter, what the template puts between a
    question and its answer.
    Why it matters: A line break or an end of turn that is missing, or another model's format, is not what the model
    was trained on. It gets worse, and what you serve with its template asks it in yet another way.
    How to fix: Give the rows as `messages`, or as pairs of prompt and completion in messages; the template does the
    rest.
    Evidence: unslothai/unsloth#172, unslothai/unsloth#166. Threshold: 1 % of rows.
    """
    plain = int((train.profile["roles"] == "t").sum())
    if tokenizer.template is None or not plain:
        not_applicable("no plain text for a model with a chat template")
    found = train.flagged("hand-written")
    evidence(f"{counted(len(found), 'row')} of {plain:,} in a format by hand", rows=len(found))
    if len(found) <= limits.max_fraction * train.rows:
        return
    report_findings(
        [
            Finding(
                f"{counted(len(found), 'row')} of {train.rows:,} are in a prompt format that is not the template's",
                **seen(found),
                expected="what the chat template writes",
                why="The model knows another format, and is served with that.",
                fix="Write the rows as messages with role and content.",
            )
        ]
    )

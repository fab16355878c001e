from typing import Any

from preflight import Finding, check, report_findings
from preflight.data.fidelity import seen
from preflight.data.store import Split
from preflight.findings import counted, not_applicable
from preflight.fixtures import Evidence
from preflight.model.tokenizer import Tokenizer

ITEM = "Special tokens correctly placed (BOS, EOS, pad)"


@check("TOK-104", "bos-once", severity="required", section=1, item=ITEM, thresholds={"max_fraction": 0.01})
def no_example_begins_with_two_bos_tokens(train: Split, tokenizer: Tokenizer, evidence: Evidence, limits: Any) -> None:
    """No example begins with two BOS tokens.

    What it checks: The first two ids of every row.
    Why it matters: The model was trained on texts with one BOS. With two it sees a start that it doesn't know, in
    every row, and quality drops without any error; served with one, it sees yet another.
    How to fix: Take the BOS out of the text: tokenizers put their own before plain text, and chat templates write it
    themselves.
    Evidence: huggingface/trl#1400, huggingface/trl#1912. Threshold: 1 % of rows, for text that is about such tokens.
    """
    bos = tokenizer.hf.bos_token
    if bos is None:
        not_applicable("the tokenizer has no BOS token")
    found = train.flagged("double-bos")
    evidence(f"{counted(len(found), 'row')} of {train.rows:,} with {bos} twice", rows=len(found), bos=bos)
    if len(found) <= limits.max_fraction * train.rows:
        return
    chats = found.iloc[0]["shape"] not in ("text", "prompt-completion")
    report_findings(
        [
            Finding(
                f"{counted(len(found), 'row')} of {train.rows:,} begin with {bos} twice",
                **seen(found),
                expected=f"one {bos}",
                why="The model knows texts with one BOS: quality drops, in training and in use.",
                fix=f"Remove {bos} from the messages, or from the chat template if it writes two."
                if chats
                else f"Remove {bos} from the start of the text: the tokenizer puts its own there.",
            )
        ]
    )


@check("TOK-105", "bos-and-eos-placed", severity="recommended", section=1, item=ITEM, thresholds={"max_fraction": 0.01})
def bos_is_there_and_eos_is_not_doubled(train: Split, tokenizer: Tokenizer, evidence: Evidence, limits: Any) -> None:
    """Conversations begin with BOS if the model's texts do, and EOS never follows EOS.

    What it checks: If the tokenizer puts BOS before plain text, whether rendered conversations have it too. Whether EOS
    stands directly behind EOS. Rows in which a special token is typed are judged by TOK-115.
    Why it matters: Models whose texts all began with BOS behave oddly without it. A doubled EOS teaches the model to go
    on after its end.
    How to fix: Let the chat template begin with `{{ bos_token }}`. Remove EOS from the data: TRL appends it to plain
    text, and a tokenizer with `add_eos_token` once more.
    Evidence: huggingface/trl#734, huggingface/transformers#23833 (which EOS is added, and by whom). Threshold: 1 %.
    """
    hf = tokenizer.hf
    typed = set(train.flagged("typed-special")["row"])
    lacking, doubled = train.flagged("no-bos"), train.flagged("double-eos")
    doubled = doubled[~doubled["row"].isin(typed)]
    evidence(
        f"{counted(len(lacking), 'row')} without BOS, {len(doubled)} with EOS twice",
        without_bos=len(lacking),
        double_eos=len(doubled),
    )
    findings = []
    if len(lacking) > limits.max_fraction * train.rows:
        findings.append(
            Finding(
                f"{counted(len(lacking), 'conversation')} of {train.rows:,} have no {hf.bos_token} at the start",
                where=lacking.iloc[0]["where"],
                expected=f"{hf.bos_token} first, as the tokenizer puts it before plain text",
                why="The model has hardly seen a text without it.",
                fix="Begin the chat template with {{ bos_token }}.",
            )
        )
    if len(doubled) > limits.max_fraction * train.rows:
        findings.append(
            Finding(
                f"{counted(len(doubled), 'row')} of {train.rows:,} have {hf.eos_token} twice in a row",
                where=doubled.iloc[0]["where"],
                expected=f"one {hf.eos_token}",
                why="The model learns to go on after its end.",
                fix=f"Remove {hf.eos_token} from the end of the texts, or add_eos_token from tokenizer_config.json.",
            )
        )
    report_findings(findings)

from typing import Any

from preflight import Finding, check, report_findings
from preflight.data.fidelity import seen
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence

ITEM = "Consistent template applied to all examples"


@check("TOK-109", "no-empty-thinking", severity="recommended", section=1, item=ITEM, thresholds={"max_fraction": 0.5})
def no_empty_thinking_block_is_learned(train: Split, evidence: Evidence, limits: Any) -> None:
    """The model doesn't learn empty thinking blocks that the template made up.

    What it checks: Whether the template puts an empty block such as `<think></think>` into learned turns whose message
    has none.
    Why it matters: The block is boilerplate of the template: in use the prompt supplies it, or the model is to fill it.
    A model that learns to write it empty stops thinking, also where it should.
    How to fix: Give the rows a column `chat_template_kwargs` with `{"enable_thinking": false}`, as in use, so that the
    block belongs to the prompt; or put the template's `{% generation %}` behind the block.
    Evidence: NVIDIA-NeMo/Automodel#3739, QwenLM/Qwen3#1420. Threshold: half of the rows.
    """
    found = train.flagged("empty-think")
    evidence(f"{counted(len(found), 'row')} of {train.rows:,} with an empty thinking block", rows=len(found))
    if len(found) <= limits.max_fraction * train.rows:
        return
    report_findings(
        [
            Finding(
                f"the template puts an empty thinking block before the answers of {len(found):,} of {train.rows:,} "
                "rows, and it is learned",
                **seen(found),
                expected="no block, or one that belongs to the prompt",
                why="The model learns to open its answers with boilerplate, and to stop thinking.",
                fix='Add a column chat_template_kwargs: {"enable_thinking": false} to the rows, or put the '
                "template's {% generation %} behind the block.",
            )
        ]
    )


@check("TOK-110", "reasoning-kept", severity="required", section=1, item=ITEM, thresholds={"max_fraction": 0.01})
def the_template_keeps_the_reasoning_that_is_to_be_learned(train: Split, evidence: Evidence, limits: Any) -> None:
    """Reasoning in the data reaches the text that is learned.

    What it checks: Reasoning of the last answer, in `reasoning_content` or between thinking tags, must be in the
    rendered text, and every thinking block that is opened must be closed.
    Why it matters: A template that knows no reasoning drops it silently. The model then learns to answer without
    thinking, from data that was made to teach it to think.
    How to fix: Use a template that renders reasoning, with `model.chat_template`, or move it to the key or the tags
    that the model's template reads.
    Evidence: huggingface/trl#6363, huggingface/trl#6361, THUDM/slime#330, hiyouga/LlamaFactory#10773. Threshold: 1 %.
    """
    lost, odd = train.flagged("reasoning-lost"), train.flagged("unbalanced-think")
    evidence(f"reasoning lost in {counted(len(lost), 'row')}, torn in {len(odd)}", lost=len(lost), unbalanced=len(odd))
    findings = []
    if len(lost) > limits.max_fraction * train.rows:
        findings.append(
            Finding(
                f"the template drops the reasoning of {counted(len(lost), 'row')} of {train.rows:,}",
                **seen(lost),
                expected="the reasoning of the last answer in the rendered text",
                why="The model learns to answer without thinking.",
                fix="Set model.chat_template to one that renders reasoning, or write it as the model's template reads "
                "it: in reasoning_content, or between <think> and </think>.",
            )
        )
    if len(odd) > limits.max_fraction * train.rows:
        findings.append(
            Finding(
                f"thinking blocks are opened and not closed, or the other way round, in {counted(len(odd), 'row')}",
                **seen(odd),
                expected="<think> before each </think>",
                why="The model learns to answer inside of its thoughts, or to think behind its answer.",
                fix="Write both tags into the rows, or only the reasoning into reasoning_content.",
            )
        )
    report_findings(findings)


@check("TOK-111", "prefix-preserving", severity="recommended", section=1, item=ITEM, thresholds={"max_fraction": 0.01})
def earlier_turns_are_learned_as_they_are_generated(train: Split, evidence: Evidence, limits: Any) -> None:
    """Each answer of a conversation is learned in the form in which it is generated.

    What it checks: In conversations with several learned answers, whether the template renders an answer the same when
    other turns follow it. Reasoning templates drop the thoughts of earlier turns.
    Why it matters: When an earlier answer was generated, it was the last one. Learned without its reasoning, it teaches
    the model not to think, and the mask is found by searching instead of by the template.
    How to fix: Split each conversation into one row for each answer, all turns up to it; or use a template that keeps
    earlier turns as they were.
    Evidence: huggingface/trl#6105, huggingface/trl#5213, PrimeIntellect-ai/prime-rl#1334. Threshold: 1 % of rows.
    """
    profile = train.profile
    several = profile["shape"].isin(("messages", "sharegpt")) & (profile["roles"].str.count("a") > 1)
    dropped = train.flagged("reasoning-dropped")
    changed = profile[several & (~profile["prefix_ok"] | profile["row"].isin(dropped["row"]))]
    evidence(
        f"{counted(len(changed), 'row')} of {int(several.sum()):,} with several answers are rendered otherwise",
        rows=len(changed),
        several=int(several.sum()),
    )
    if len(changed) <= limits.max_fraction * len(profile):
        return
    shown = dropped[dropped["row"].isin(changed["row"])]
    what = f"; reasoning that is dropped: {shown.iloc[0]['text']!r}" if len(shown) else ""
    report_findings(
        [
            Finding(
                f"the template renders earlier answers of {counted(len(changed), 'row')} in another way than when they "
                "were the last",
                where=(shown if len(shown) else changed).iloc[0]["where"],
                observed=f"{len(changed):,} of {int(several.sum()):,} rows with several answers{what}",
                expected="the same text for an answer, whatever follows it",
                why="These answers are learned in a form that the model never generates.",
                fix="Split these rows so that each answer is the last of its row, or use a template that keeps earlier "
                "turns as they were.",
            )
        ]
    )

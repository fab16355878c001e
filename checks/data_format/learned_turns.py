from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.fidelity import seen
from preflight.data.store import Split
from preflight.findings import counted, not_applicable
from preflight.fixtures import Evidence

ITEM = "Tokenizer alignment: verified tokenizer handles format"
PAIRS = ("prompt-completion", "alpaca")  # shapes of which only the answer is learned, unless the config says otherwise


def _answers_only(config: Config, profile: Any) -> Any:
    """Which rows are to be learned only where the assistant speaks, or in the completion."""
    pairs = profile["shape"].isin(PAIRS) & (config.training_value("completion_only_loss") is not False)
    return pairs | ((profile["shape"] != "text") & bool(config.training_value("assistant_only_loss")))


@check("TOK-106", "prompts-not-learned", severity="required", section=1, item=ITEM, thresholds={"max_fraction": 0.01})
def no_prompt_is_learned_where_only_answers_should_be(
    config: Config, train: Split, evidence: Evidence, limits: Any
) -> None:
    """With a loss on answers only, no text of the user, the system or a tool is learned.

    What it checks: Under `training.assistant_only_loss`, and for pairs of prompt and completion, whether a message that
    is not the assistant's stands in what is supervised.
    Why it matters: The model learns to ask and to write tool results itself, and goes on with the user's next turn
    where it should stop.
    How to fix: Let the generation markers of the chat template enclose the assistant's content and its end of turn, and
    nothing else.
    Evidence: huggingface/trl#4922, hiyouga/LlamaFactory#4777. Threshold: 1 % of rows.
    """
    judged = _answers_only(config, train.profile)
    if not judged.any():
        not_applicable("the loss is on whole conversations; see TOK-107")
    found = train.flagged("prompt-learned")
    found = found[judged[found.index]]
    evidence(f"{counted(len(found), 'row')} of {int(judged.sum()):,} with a learned prompt", rows=len(found))
    if len(found) <= limits.max_fraction * judged.sum():
        return
    report_findings(
        [
            Finding(
                f"text that the assistant did not say is learned in {len(found):,} of {int(judged.sum()):,} rows",
                **seen(found),
                expected="only the assistant's turns and their ends",
                why="The model learns to write the user's turns and tool results itself.",
                fix="Put {% generation %} behind the header of the assistant's turn in the chat template and "
                "{% endgeneration %} behind its end.",
            )
        ]
    )


@check("TOK-107", "loss-on-answers", severity="recommended", section=1, item=ITEM, thresholds={"max_prompt": 0.5})
def most_of_what_is_learned_is_answers(config: Config, train: Split, evidence: Evidence, limits: Any) -> None:
    """Most of what is learned are answers.

    What it checks: Where whole conversations are learned, how much of their text the assistant does not say: prompts,
    tool results and what the template puts around them.
    Why it matters: The loss is mostly about how users ask. The model learns to repeat questions and to invent the
    user's turns, and long prompts outweigh the answers.
    How to fix: Set `training.assistant_only_loss: true`; or write rows as prompt and completion, of which only the
    completion is learned.
    Evidence: huggingface/trl#1507, huggingface/trl#632, unslothai/unsloth#3041. Threshold: half of the text.
    """
    profile = train.profile
    whole = profile[~_answers_only(config, profile) & (profile["shape"] != "text")]
    if whole.empty:
        evidence("only answers are learned", prompt_share=0.0)
        return
    share = 1 - float(whole["said"].sum() / max(whole["chars"].sum(), 1))
    evidence(f"{share:.0%} of what is learned is not the assistant's", prompt_share=share)
    if share <= limits.max_prompt:
        return
    pairs = whole.iloc[0]["shape"] in PAIRS
    key = "completion_only_loss" if pairs else "assistant_only_loss"
    report_findings(
        [
            Finding(
                f"{share:.0%} of what is learned are prompts and markers, not answers",
                where=config.where(f"training.{key}"),
                observed=f"{len(whole):,} rows learned from the first token to the last, {whole.iloc[0]['where']} on",
                expected=f"at most {limits.max_prompt:.0%}",
                why="The loss is mostly about how users ask; the model learns to invent their turns.",
                fix="Remove training.completion_only_loss." if pairs else "Set training.assistant_only_loss: true.",
            )
        ]
    )


@check("TOK-108", "every-turn-learned", severity="recommended", section=1, item=ITEM, thresholds={"max_fraction": 0.01})
def every_answer_of_a_conversation_is_learned(train: Split, evidence: Evidence, limits: Any) -> None:
    """Every turn of the assistant is learned, not just some.

    What it checks: Whether the content of each assistant turn stands in what is supervised. In pairs of prompt and
    completion only the turns of the completion count.
    Why it matters: Answers that are not learned are paid for and lost; a model that only ever learns the last answer
    follows up badly on its own first one.
    How to fix: Put the generation markers of the chat template around every assistant turn.
    Evidence: huggingface/trl#4922, axolotl-ai-cloud/axolotl#3098, NVIDIA-NeMo/Speech#16284. Threshold: 1 % of rows.
    """
    found = train.flagged("turn-not-learned")
    evidence(f"{counted(len(found), 'row')} of {train.rows:,} with an answer that is not learned", rows=len(found))
    if len(found) <= limits.max_fraction * train.rows:
        return
    report_findings(
        [
            Finding(
                f"{counted(len(found), 'row')} of {train.rows:,} have an answer that is not learned",
                **seen(found),
                expected="every turn of the assistant",
                why="These answers are read and never learned.",
                fix="Put {% generation %} and {% endgeneration %} around every assistant turn of the chat template.",
            )
        ]
    )

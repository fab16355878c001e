import json
from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.label import IGNORE
from preflight.data.store import Split
from preflight.fixtures import Evidence
from preflight.model.tokenizer import Tokenizer


@check(
    "TOK-102",
    "end-of-turn-supervised",
    severity="required",
    section=1,
    item="Special tokens correctly placed (BOS, EOS, pad)",
    thresholds={"min_fraction": 0.99},
)
def every_answer_ends_with_a_supervised_stop_token(
    config: Config, train: Split, tokenizer: Tokenizer, evidence: Evidence, limits: Any
) -> None:
    """Every answer ends with a supervised token that stops generation.

    What it checks: EOS is a token of the vocabulary. The last supervised token of each answer is EOS, or another id
    that the model's generation config stops at. Answers that `max_length` cuts are judged by DATA-106.
    Why it matters: A model that is never shown the end of an answer doesn't end one: it rambles until the token limit.
    How to fix: Use a chat template that closes the assistant's turn with the EOS token, or name the token that it does
    use in the model's generation_config.json as `eos_token_id`. Generation markers must enclose that token.
    Evidence: huggingface/trl#734 and tatsu-lab/stanford_alpaca#126 (no EOS), hiyouga/LlamaFactory#7454 (end-of-turn is
    not a stop token). Threshold: 1 % for rows that end on purpose without one.
    """
    profile = train.profile
    _eos_is_known(config, tokenizer)
    stop = ", ".join(tokenizer.hf.convert_ids_to_tokens(sorted(tokenizer.stop_ids))) or "none"
    share = float(profile["ends_turn"].mean())
    evidence(f"{share:.1%} of rows end with {stop}", share=share, stop_tokens=stop)
    if share >= limits.min_fraction:
        return
    bad = profile[~profile["ends_turn"]]
    row = train.examples[int(bad.index[0])]
    learned = [label for label in row["labels"] if label != IGNORE]
    tail = tokenizer.hf.decode(learned[-12:])
    report_findings(
        [
            Finding(
                f"{len(bad)} of {len(profile)} answers do not end with a supervised stop token; "
                f"the last one here ends with {tail!r}",
                where=bad.iloc[0]["where"],
                observed=f"{share:.1%} of rows",
                expected=f"at least {limits.min_fraction:.0%} ending with {stop}",
                why="The model never learns to stop.",
                fix="Close the assistant's turn with the EOS token in the chat template, inside its generation "
                "markers; or add the token that closes it to eos_token_id in generation_config.json.",
            )
        ]
    )


def _eos_is_known(config: Config, tokenizer: Tokenizer) -> None:
    eos = tokenizer.hf.eos_token
    if eos is None or tokenizer.backend.token_to_id(eos) is not None:
        return
    stops = tokenizer.hf.convert_ids_to_tokens(sorted(tokenizer.stop_ids))
    report_findings(
        [
            Finding(
                f"the EOS token {eos!r} is not in the vocabulary",
                where=config.where("training.eos_token"),
                expected=f"one that the model stops at: {', '.join(stops)}" if stops else "a token of the vocabulary",
                why="TRL refuses it, or it would be learned letter by letter and end nothing.",
                fix=f"Set training.eos_token: {json.dumps(stops[0])}." if stops else "Remove training.eos_token.",
            )
        ]
    )

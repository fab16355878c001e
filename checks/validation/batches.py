from typing import Any

from preflight import Finding, check, report_findings
from preflight.evaluation.batches import STOPS, TOKENS, Repeat
from preflight.evaluation.budget import Sampled
from preflight.fixtures import Evidence
from preflight.model.tokenizer import Tokenizer


@check(
    "POST-109",
    "same-in-batches",
    severity="recommended",
    section=6,
    item="Inference works: model generates coherent output",
    thresholds={"min_fraction": 0.95},
)
def an_answer_does_not_depend_on_its_batch(
    tokenizer: Tokenizer, batches: Sampled[Repeat], evidence: Evidence, limits: Any
) -> None:
    """The trained model answers a prompt in a left-padded batch as it answers it alone, and each time the same.

    What it checks: The first 16 tokens of greedy answers to 8 held-out prompts of different length, from a batch and
    alone; and of two of them alone once more. Two tokens that are about equally likely may change places by rounding:
    only where their logits lie further apart (0.01 in float32, 0.1 in float16, 0.5 in bfloat16 and for quantized
    models) do the rest of the tokens count as different.
    Why it matters: Answers that padding changes are wrong wherever prompts are served or evaluated in batches, as
    they are in this report, and nothing else shows it.
    How to fix: Set model.attn_implementation: eager and judge again; if that helps, upgrade torch and transformers. A
    model with code of its own has to take its positions from the attention mask.
    Evidence: ndif-team/nnsight#673 (left padding without position ids shifts absolute positions) and
    pytorch/pytorch#103749 (padded rows turn into NaN). Threshold: 95 % of the tokens.
    """
    ways = {way: [repeat for repeat in batches if repeat.way == way] for way in ("in a batch", "at first")}
    shares = {way: agreement(repeats) for way, repeats in ways.items()}
    evidence(
        f"{shares['in a batch']:.0%} of the tokens are the same in a batch, {shares['at first']:.0%} when asked twice"
        f"{batches.note}",
        prompts=len(ways["in a batch"]),
        same_in_batch=shares["in a batch"],
        same_when_asked_twice=shares["at first"],
        near_ties=sum(repeat.gap > 0 and not repeat.real for repeat in batches),
    )
    report_findings(
        Finding(
            f"the answer is another one {way}: {spelled(tokenizer, repeat)}",
            where=repeat.where,
            observed=f"token {repeat.at + 1} differs, by {repeat.gap:.2f} in its logit; "
            f"{shares[way]:.0%} of the tokens are the same",
            expected=f"at least {limits.min_fraction:.0%} of the first {TOKENS} tokens",
            why="Answers are wrong wherever prompts are padded to a batch, and nothing else shows it."
            if way == "in a batch"
            else "A greedy answer that changes from one time to the next can't be tested: something draws at random.",
            fix="Set model.attn_implementation: eager and judge again; if that helps, upgrade torch and transformers.",
        )
        for way, repeats in ways.items()
        if shares[way] < limits.min_fraction
        for repeat in repeats
        if repeat.real
    )


def agreement(repeats: list[Repeat]) -> float:
    """Share of tokens that are the same; what comes behind a near tie isn't counted."""
    same = sum(repeat.at for repeat in repeats)
    other = sum(max(len(repeat.first), len(repeat.alone)) - repeat.at for repeat in repeats if repeat.real)
    return same / (same + other) if same + other else 1.0


def spelled(tokenizer: Tokenizer, repeat: Repeat) -> str:
    """The beginnings of both answers."""
    first, alone = ([token for token in ids if token != STOPS] for ids in (repeat.first, repeat.alone))
    return f"{tokenizer.hf.decode(first)[:60]!r}, alone {tokenizer.hf.decode(alone)[:60]!r}"

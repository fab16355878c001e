import math
from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.data.store import Split
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree
from preflight.rehearsal import Rehearsal


@check(
    "RUN-201",
    "initial-loss",
    severity="recommended",
    section=4,
    item="Initial loss: 2-4 for causal LM",
    thresholds={
        "min": 0.05,
        "max_of_chance": 0.9,
        "text_min": 0.5,
        "text_max": 6.0,
        "max_change": 0.01,
        "max_change_half": 0.05,
    },
)
def the_first_loss_is_the_base_models_own(
    rehearsal: Rehearsal, train: Split, module_tree: ModuleTree, evidence: Evidence, limits: Any
) -> None:
    """The loss before the first step is plausible, and a fresh adapter doesn't change it.

    What it checks: The mean loss of a supervised token on the batch of median length, before the first step: that of
    the base model alone, loaded by itself, and that of the model as the trainer has built it. They must agree, since a
    fresh adapter adds nothing; and they must lie between almost nothing and that of guessing, the logarithm of the
    vocabulary. Plain text is expected between 0.5 and 6.
    Why it matters: A loss near zero means that the answer stands in the prompt or that hardly anything is learned. One
    like guessing means that weights and tokenizer don't belong together, or that weights were not loaded. A fresh
    adapter that changes the loss starts from another model than the one that was chosen.
    How to fix: Look at the supervised text (`preflight review`), at `model.name_or_path` and `model.tokenizer`, and at
    `lora.init_lora_weights`.
    Evidence: the checklist's 2 to 4 is plain text; answers of a chat are often easier, so they are compared with the
    base model. LoRA initialises B with zeros (Hu et al. 2021, section 4.1).
    """
    fresh, base = rehearsal.reached(rehearsal.fresh), rehearsal.base
    chance = math.log(module_tree.vocabulary)
    evidence(
        f"{fresh:.2f}, base {'not measured' if base is None else f'{base:.2f}'}, guessing {chance:.2f}",
        fresh=str(fresh),
        base=str(base),
        chance=chance,
    )
    if not math.isfinite(fresh):
        not_applicable("the first loss is not a number; see RUN-204")
    text = bool((train.profile["shape"] == "text").all())
    report_findings(judge(fresh, base, chance, limits, text=text, half=rehearsal.half))


def judge(fresh: float, base: float | None, chance: float, limits: Any, *, text: bool, half: bool) -> list[Finding]:
    """What is odd about a first loss.

    Args:
        fresh: Mean loss of a supervised token of the model with its untrained adapter.
        base: The same of the base model; None if it wasn't measured.
        chance: That of guessing.
        limits: The check's thresholds.
        text: Whether the data is plain text, all of it learned.
        half: Whether anything is in 16 bits, where a fresh adapter may round otherwise.
    """
    where = "the batch of median length"
    if base is not None and abs(fresh - base) > (limits.max_change_half if half else limits.max_change):
        return [
            Finding(
                f"the untrained adapter changes the model: a loss of {fresh:.3f}, where the base has {base:.3f}",
                where=where,
                observed=f"{fresh - base:+.3f}",
                expected="no difference",
                why="Training starts from another model than the one that was chosen.",
                fix="Set lora.init_lora_weights: true, so that B starts at zero.",
            )
        ]
    low = limits.text_min if text else limits.min
    if fresh < low:
        why = "There is almost nothing to learn: the answers stand in the prompts, or the model has seen the data."
        fix = "Look at the supervised text with `preflight review`; leave out what the model knows already."
        return [
            Finding(f"the first loss is almost zero: {fresh:.3f}", where, f"{fresh:.3f}", f"{low} or more", why, fix)
        ]
    if fresh > limits.max_of_chance * chance:
        why = (
            "The model knows no more than one that guesses: its weights were not loaded, or its tokenizer is another's."
        )
        fix = "Check model.name_or_path and model.tokenizer: weights and tokenizer must come from the same model."
        high = f"below {limits.max_of_chance * chance:.1f}; guessing is {chance:.1f}"
        return [Finding(f"the first loss is that of guessing: {fresh:.2f}", where, f"{fresh:.2f}", high, why, fix)]
    if text and fresh > limits.text_max:
        why = "The base model hardly knows this kind of text: it may be another language, or markup, or damaged."
        fix = "Look at the text with `preflight review`; choose a base model that knows its language."
        high = f"{limits.text_max} or less; 2 to 4 is usual"
        return [Finding(f"the first loss is high: {fresh:.2f}", where, f"{fresh:.2f}", high, why, fix)]
    return []

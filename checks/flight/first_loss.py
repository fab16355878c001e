from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.fixtures import Evidence
from preflight.flight import Log
from preflight.flight.plan import Plan
from preflight.flight.trend import finite, noise


@check(
    "RUN-103",
    "first-loss",
    severity="recommended",
    section=5,
    item="Loss tracking: initial loss reasonable (2-4 for causal LM)",
    thresholds={
        "min": 0.05,
        "max_of_chance": 0.9,
        "text_min": 0.5,
        "text_max": 6.0,
        "max_of_rehearsed": 1.5,
        "first": 5,
    },
)
def the_first_losses_are_reasonable(run_log: Log, plan: Plan, evidence: Evidence, limits: Any) -> None:
    """The first losses are those of a model that knows the language and has something to learn.

    What it checks: The mean of the first logged losses: against what the rehearsal measured before the run, if there
    was one; and between almost nothing and the loss of guessing, the logarithm of the vocabulary. Plain text is
    expected between 0.5 and 6.
    Why it matters: A first loss far above the rehearsed one means that the run computes its loss otherwise, for example
    summed over accumulated batches. One near zero means that there is nothing to learn, one like guessing that
    weights and tokenizer don't belong together.
    How to fix: Look at the supervised text (`preflight review`), `model.name_or_path` and `model.tokenizer`.
    Evidence: the checklist's 2 to 4 is plain text; answers of a chat are often easier. huggingface/transformers#34191
    and huggingface/transformers#35438: losses multiplied by the accumulation steps.
    """
    losses = finite(run_log.curve("loss")).values[: limits.first]
    if not len(losses):
        not_applicable("no loss is logged yet")
    first, rehearsed = float(losses.mean()), plan.first_loss
    evidence(f"{first:.2f}, rehearsed {'not' if rehearsed is None else f'{rehearsed:.2f}'}", first=first)
    spread = 3 * noise(losses) if len(losses) > 1 else first / 2
    report_findings(judge(first, spread, plan, limits))


def judge(first: float, spread: float, plan: Plan, limits: Any) -> list[Finding]:
    """What is odd about the first losses.

    Args:
        first: Their mean.
        spread: How far noise alone could move it.
        plan: The plan of the run.
        limits: The check's thresholds.
    """
    rehearsed, chance = plan.first_loss, plan.guessing
    if rehearsed and first - spread > limits.max_of_rehearsed * rehearsed and first - rehearsed > 1:
        factor = first / rehearsed
        summed = plan.accumulation > 1 and abs(factor / plan.accumulation - 1) < 0.2
        return [
            Finding(
                f"the first loss is {first:.2f}, and {rehearsed:.2f} was rehearsed",
                where="the first logged steps",
                observed=f"{factor:.1f} times as much",
                expected=f"below {limits.max_of_rehearsed * rehearsed:.2f}",
                why="The loss is summed over accumulated batches, and the learning rate acts as many times as high."
                if summed
                else "The run starts from another model, or computes its loss otherwise, than what was judged.",
                fix=f"Set training.gradient_accumulation_steps: 1, with {plan.batch * plan.accumulation} rows a batch."
                if summed
                else "Clear the run again, so that the rehearsal sees what trains now.",
            )
        ]
    low = limits.text_min if plan.text else limits.min
    if first < low:
        why = "There is almost nothing to learn: the answers stand in the prompts, or the model has seen the data."
        fix = "Look at the supervised text with `preflight review`; leave out what the model knows already."
        return [_finding(f"the first loss is almost zero: {first:.3f}", first, f"{low} or more", why, fix)]
    if chance and first > limits.max_of_chance * chance:
        why = (
            "The model knows no more than one that guesses: its weights were not loaded, or its tokenizer is another's."
        )
        fix = "Check model.name_or_path and model.tokenizer: weights and tokenizer must come from the same model."
        high = f"below {limits.max_of_chance * chance:.1f}; guessing is {chance:.1f}"
        return [_finding(f"the first loss is that of guessing: {first:.2f}", first, high, why, fix)]
    if plan.text and first > limits.text_max:
        why = "The base model hardly knows this kind of text: it may be another language, or markup, or damaged."
        fix = "Look at the text with `preflight review`; choose a base model that knows its language."
        high = f"{limits.text_max} or less; 2 to 4 is usual"
        return [_finding(f"the first loss is high: {first:.2f}", first, high, why, fix)]
    return []


def _finding(message: str, first: float, expected: str, why: str, fix: str) -> Finding:
    return Finding(message, "the first logged steps", f"{first:.3f}", expected, why, fix)

from typing import Any

from preflight import Finding, check, not_available, report_findings
from preflight.config import Config
from preflight.evaluation.budget import Sampled
from preflight.evaluation.generate import Answer
from preflight.fixtures import Evidence


@check(
    "POST-104",
    "stops-by-itself",
    severity="required",
    section=6,
    item="Inference works: model generates coherent output",
    thresholds={"min_fraction": 0.9},
)
def the_model_stops_by_itself(config: Config, answers: Sampled[Answer], evidence: Evidence, limits: Any) -> None:
    """The trained model ends its answers by itself.

    What it checks: The share of greedy answers that end with a stop token within `evaluation.max_new_tokens`, rounded
    to whole answers. Prompts whose expected answer is longer than that are left out: they could not end in time.
    Why it matters: A model that doesn't stop rambles on in production until the limit, at your cost.
    How to fix: See that the end-of-turn token is supervised (TOK-102); if it is, train longer or raise
    `evaluation.max_new_tokens`.
    Evidence: mlabonne/llm-course#33 and unslothai/unsloth#416.
    """
    limit = config.evaluation.max_new_tokens
    longest = max((answer.expected_tokens for answer in answers), default=0)
    judged = [answer for answer in answers if answer.expected_tokens < limit]
    if not judged:
        not_available(
            f"every expected answer is longer than evaluation.max_new_tokens {limit}: set it to {2 * longest}"
        )
    stopped = sum(answer.tuned.stopped for answer in judged)
    before = sum(answer.base.stopped for answer in judged)
    said = f"{stopped} of {len(judged)} stop (base: {before}){answers.note}"
    evidence(said, stopped=stopped, base=before, answers=len(judged), wanted=answers.wanted)
    if stopped >= round(limits.min_fraction * len(judged)):
        return
    endless = next(answer for answer in judged if not answer.tuned.stopped)
    report_findings(
        [
            Finding(
                f"{len(judged) - stopped} of {len(judged)} answers run into the limit: {endless.tuned.text[-60:]!r}",
                where=endless.where,
                observed=f"{stopped / len(judged):.0%} stop",
                expected=f"at least {limits.min_fraction:.0%} within {limit} tokens",
                why="In production it rambles until the token limit.",
                fix=f"Check TOK-102; if it passes, train longer, or set evaluation.max_new_tokens: {2 * limit}.",
            )
        ]
    )

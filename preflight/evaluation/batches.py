"""Whether an answer depends on the prompts beside it: the answers in batches again, one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from preflight.config import Config
from preflight.evaluation.budget import Budget, Sampled, in_time
from preflight.evaluation.generate import Answer, Reply, greedy
from preflight.evaluation.questions import Question
from preflight.evaluation.trained import Trained
from preflight.findings import not_applicable

PROMPTS = 8  # of different length
TOKENS = 16  # of each answer
TWICE = 2  # prompts that are asked a second time
STOPS = -1  # stands for the token that ends an answer, whichever it was
# How far the logits of the same token may lie apart between two ways to compute them. In 16 bits a logit of 16 to 32 is
# a multiple of 0.125 (bfloat16) or 0.016 (float16), and a model is many roundings deep; kernels for quantized weights
# compute one row another way than many. In float32 it is about 1e-4.
TOLERANCES = {"float32": 0.01, "float16": 0.1}
COARSE = 0.5


@dataclass(frozen=True)
class Repeat:
    """An answer and the same answer computed another way.

    Attributes:
        where: The place of the example.
        way: How it was computed at first: `in a batch`, or `at first`.
        first: Its first tokens then; -1 for the end of the answer.
        alone: Its first tokens when asked alone.
        at: Number of tokens that are the same, from the start.
        gap: How far the logits of the two tokens that differ lie apart, for the prompt alone; 0 if none do.
        real: Whether that is more than rounding explains.
    """

    where: str
    way: str
    first: list[int]
    alone: list[int]
    at: int
    gap: float
    real: bool


def compare(
    config: Config, trained: Trained, questions: Sequence[Question], answers: Sampled[Answer], budget: Budget
) -> Sampled[Repeat]:
    """The tuned model's answers in batches against the same prompts alone, in the time there is.

    Raises:
        NotApplicable: there is no batch, or a server made it.
    """
    if config.evaluation.server is not None:
        not_applicable("evaluation.server answers, and makes batches in its own way")
    prompts = {question.where: question.ids for question in questions}
    if len(answers) < 2:
        not_applicable("there is one held-out prompt, and so no batch")
    known = [(answer, prompts[answer.where]) for answer in answers]
    picked = by_length(known)
    found = []
    with budget.part("batches") as deadline:
        for number, ((answer, prompt),) in enumerate(in_time(picked, 1, deadline)):
            alone = said(_ask(trained, prompt))
            ways = [("in a batch", said(answer.tuned), alone)]
            if number < TWICE:
                ways.append(("at first", alone, said(_ask(trained, prompt))))
            found += [
                Repeat(answer.where, way, one, other, *_differ(trained, prompt, one, other)) for way, one, other in ways
            ]
    return Sampled(found, len(picked) + min(TWICE, len(picked)))


def by_length(known: Sequence[tuple[Answer, list[int]]]) -> list[tuple[Answer, list[int]]]:
    """Eight of the prompts, from the shortest, which is padded most, to the longest."""
    ranked = sorted(known, key=lambda pair: len(pair[1]))
    if len(ranked) <= PROMPTS:
        return ranked
    return [ranked[round(n * (len(ranked) - 1) / (PROMPTS - 1))] for n in range(PROMPTS)]


def said(reply: Reply) -> list[int]:
    """The first tokens of a reply, with a mark where it ends by itself."""
    return [*reply.ids, *([STOPS] if reply.stopped else [])][:TOKENS]


def same(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two answers share from the start."""
    both = list(zip(first, second, strict=False))
    return next((place for place, (one, other) in enumerate(both) if one != other), len(both))


def tolerance(model: Any) -> float:
    """How far apart logits may lie in the model's precision."""
    if getattr(model, "is_quantized", False):
        return COARSE
    coarsest = {str(value.dtype).removeprefix("torch.") for value in model.parameters() if value.is_floating_point()}
    return max(TOLERANCES.get(name, COARSE) for name in coarsest)


def _ask(trained: Trained, prompt: list[int]) -> Reply:
    return greedy(trained.model, trained.tokenizer, [prompt], TOKENS)[0]


def _differ(trained: Trained, prompt: list[int], first: list[int], alone: list[int]) -> tuple[int, float, bool]:
    at = same(first, alone)
    if at == min(len(first), len(alone)):  # one of them was cut by the limit
        return at, 0.0, False
    gap = _gap(trained, prompt + alone[:at], alone[at], first[at])
    return at, gap, not gap <= tolerance(trained.model)  # NaN is no rounding


def _gap(trained: Trained, ids: list[int], one: int, other: int) -> float:
    """How far the logits of two next tokens lie apart."""
    import torch

    with torch.inference_mode():
        logits = trained.model(input_ids=torch.tensor([ids], device=trained.model.device)).logits[0, -1].float()
    stops = sorted(trained.tokenizer.stop_ids)
    high, low = (logits[stops].max() if token == STOPS else logits[token] for token in (one, other))
    return abs(float(high - low))

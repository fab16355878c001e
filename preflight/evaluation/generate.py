"""Greedy answers, base and tuned side by side, a batch at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from preflight.config import Config
from preflight.evaluation.budget import Budget, Sampled, in_time
from preflight.evaluation.questions import Question
from preflight.evaluation.trained import Trained
from preflight.model.tokenizer import Tokenizer

BATCH = 16


@dataclass(frozen=True)
class Reply:
    """What a model says to a prompt.

    Attributes:
        text: The answer without the token that stopped it, control tokens and all.
        ids: The same as ids.
        stopped: Whether it stopped by itself.
    """

    text: str
    ids: list[int]
    stopped: bool


@dataclass(frozen=True)
class Answer:
    """What base and tuned model answer to one prompt.

    Attributes:
        where: The place of the example.
        prompt: The rendered prompt.
        expected: The answer in the data.
        expected_tokens: Its length.
        base: Greedy answer of the base model.
        tuned: Greedy answer of the tuned model.
        columns: The row as it stands in its file.
    """

    where: str
    prompt: str
    expected: str
    expected_tokens: int
    base: Reply
    tuned: Reply
    columns: Mapping[str, Any] = field(default_factory=dict)


Speak = Callable[[Sequence[list[int]], int], list[Reply]]  # prompts in ids, and the most tokens of an answer
Sample = Callable[[Sequence[list[int]], int], list[list[Reply]]]  # the same, several answers to each
# Of Chen et al. 2021, "Evaluating Large Language Models Trained on Code": nucleus sampling with 0.95, and what was best
# for many answers; for one alone it was 0.2, and greedy answers are judged beside these.
TEMPERATURE, TOP_P = 0.8, 0.95


def speakers(config: Config, trained: Trained) -> tuple[Speak, Speak]:
    """How base and tuned model are asked: here, or on the server of `evaluation.server`."""
    if config.evaluation.server is not None:
        from preflight.evaluation.server import speakers as asked

        return asked(config.evaluation.server, trained.tokenizer)

    def base(prompts: Sequence[list[int]], limit: int) -> list[Reply]:
        with trained.as_base() as model:
            return greedy(model, trained.tokenizer, prompts, limit)

    def tuned(prompts: Sequence[list[int]], limit: int) -> list[Reply]:
        return greedy(trained.model, trained.tokenizer, prompts, limit)

    return base, tuned


def samplers(config: Config, trained: Trained) -> tuple[Sample, Sample]:
    """How both models are asked for `evaluation.samples` answers to each prompt; the same ones in every run."""
    many, seed = config.evaluation.samples, int(config.training_value("seed"))
    if config.evaluation.server is not None:
        from preflight.evaluation.server import samplers as asked

        return asked(config.evaluation.server, trained.tokenizer, many, seed)

    def base(prompts: Sequence[list[int]], limit: int) -> list[list[Reply]]:
        with trained.as_base() as model:
            return sampled(model, trained.tokenizer, prompts, limit, many=many, seed=seed)

    def tuned(prompts: Sequence[list[int]], limit: int) -> list[list[Reply]]:
        return sampled(trained.model, trained.tokenizer, prompts, limit, many=many, seed=seed)

    return base, tuned


def answers_of(config: Config, trained: Trained, questions: Sequence[Question], budget: Budget) -> Sampled[Answer]:
    """Greedy answers of both models, in the time there is; in the order of the questions."""
    base, tuned = speakers(config, trained)
    limit = config.evaluation.max_new_tokens
    decode = trained.tokenizer.hf.decode
    found: dict[int, Answer] = {}
    with budget.part("answers") as deadline:
        for batch in in_time(list(enumerate(questions)), BATCH, deadline):
            prompts = [question.ids for _, question in batch]
            replies = zip(batch, base(prompts, limit), tuned(prompts, limit), strict=True)
            for (number, question), before, after in replies:
                prompt, expected = decode(question.ids), decode(question.expected)
                many = len(question.expected)
                found[number] = Answer(question.where, prompt, expected, many, before, after, question.columns)
    return Sampled([found[number] for number in sorted(found)], len(questions))


def samples(answers: Sampled[Answer]) -> list[dict[str, Any]]:
    """The answers as the HTML report shows them, base and tuned model side by side."""
    return [
        {
            "where": answer.where,
            "prompt": answer.prompt,
            "expected": answer.expected,
            "base": answer.base.text,
            "tuned": answer.tuned.text,
            "stopped": answer.tuned.stopped,
            "expected_tokens": answer.expected_tokens,
            "base_tokens": len(answer.base.ids),
            "tuned_tokens": len(answer.tuned.ids),
        }
        for answer in answers
    ]


def greedy(model: Any, tokenizer: Tokenizer, prompts: Sequence[list[int]], limit: int) -> list[Reply]:
    """Greedy answers to a batch of prompts, padded on the left."""
    return _generated(
        model, tokenizer, prompts, limit, do_sample=False, num_beams=1, temperature=None, top_p=None, top_k=None
    )


def sampled(
    model: Any, tokenizer: Tokenizer, prompts: Sequence[list[int]], limit: int, *, many: int, seed: int
) -> list[list[Reply]]:
    """`many` sampled answers to each of a batch of prompts; the same ones whenever it is asked with the same seed."""
    import torch

    with torch.random.fork_rng(devices=[model.device] if torch.device(model.device).type == "cuda" else []):
        torch.manual_seed(seed)
        found = _generated(
            model,
            tokenizer,
            prompts,
            limit,
            do_sample=True,
            num_beams=1,
            temperature=TEMPERATURE,
            top_p=TOP_P,
            top_k=0,
            num_return_sequences=many,
        )
    return [found[start : start + many] for start in range(0, len(found), many)]


def _generated(model: Any, tokenizer: Tokenizer, prompts: Sequence[list[int]], limit: int, **how: Any) -> list[Reply]:
    import torch

    width = max(map(len, prompts))
    pad = tokenizer.hf.pad_token_id
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts]).to(model.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]).to(model.device)
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=limit,
            eos_token_id=sorted(tokenizer.stop_ids),
            pad_token_id=pad,
            **how,
        )
    return [reply(tokenizer, row) for row in out[:, width:].tolist()]


def reply(tokenizer: Tokenizer, ids: list[int]) -> Reply:
    """What was generated, up to the first token that stops a generation."""
    stop = next((n for n, token in enumerate(ids) if token in tokenizer.stop_ids), None)
    said = ids[:stop]
    return Reply(str(tokenizer.hf.decode(said)), said, stop is not None)

"""What the model was able to do before: loss and next-token distributions on general text, beside its base's."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from preflight.config import Config
from preflight.data.label import IGNORE
from preflight.evaluation.budget import Budget, Sampled, in_time, spread
from preflight.evaluation.generate import greedy
from preflight.evaluation.loss import Row, padded
from preflight.evaluation.passages import CHAT, Text, texts_of
from preflight.evaluation.trained import Trained
from preflight.findings import not_available
from preflight.model.tokenizer import Tokenizer

READ, ASK = 4, 8  # passages and prompts in a batch
LIMIT = 256  # tokens of a passage; longer ones are cut
ANSWER = 24  # tokens of the base's answer to a neutral prompt
CHUNK = 128  # positions that are in float32 at a time: 128 MiB each with a vocabulary of 256k
MOST = 256  # passages, however many the user has
READING = 0.6  # of the time; the rest is for the prompts, which the base has to answer first


@dataclass(frozen=True)
class Passage:
    """A text, read by both models.

    Attributes:
        key: Its place: `general.jsonl:12`.
        kind: What it is, such as `code`.
        text: All of it.
        base: Loss of the base model, in nats a token.
        tuned: Loss of the tuned model.
        kl: Mean KL divergence of the tuned model's next-token distribution from the base's, in nats a token.
        tokens: How many were predicted.
    """

    key: str
    kind: str
    text: str
    base: float
    tuned: float
    kl: float
    tokens: int


@dataclass(frozen=True)
class Prompt:
    """A neutral prompt, answered by the base model.

    Attributes:
        key: Its place.
        prompt: What is asked, without the template.
        base: The beginning of the base model's greedy answer.
        kl: Mean KL divergence over the tokens of that answer, in nats a token.
    """

    key: str
    prompt: str
    base: str
    kl: float


@dataclass(frozen=True)
class General:
    """What became of general abilities."""

    passages: Sampled[Passage]
    prompts: Sampled[Prompt]

    def as_json(self) -> dict[str, Any]:
        """What the HTML report shows."""
        return {
            "passages": [{**vars(passage), "text": passage.text[:200]} for passage in self.passages],
            "prompts": [vars(prompt) for prompt in self.prompts],
        }


def general_of(config: Config, trained: Trained, budget: Budget) -> General:
    """Both models on passages and neutral prompts, in the time there is; each in the order of the files.

    KL(base || tuned) is taken token by token along a text that neither model chose (a passage) or that the base chose
    (its own greedy answer): where both see the same words before, distributions can be compared.

    Raises:
        NotAvailable: the user's files can't be read, or no text has two tokens.
    """
    texts = texts_of(config)
    hf, most = trained.tokenizer.hf, _most_tokens(trained)
    read = [text for text in texts if text.kind != CHAT]
    rows = [(read[at], hf(read[at].text)["input_ids"][:most]) for at in sorted(spread(len(read), MOST))]
    rows = [(text, ids) for text, ids in rows if len(ids) > 1]
    asked = [text for text in texts if text.kind == CHAT][:MOST]
    prompts = [(text, ids) for text in asked if 0 < len(ids := prompt_ids(trained.tokenizer, text.text)) <= most]
    if not rows:
        not_available("evaluation.general: no text has two tokens or more")
    with budget.part("general") as deadline:
        now = time.monotonic()
        passages = dict(_passages(trained, rows, now + READING * (deadline - now)))
        answers = dict(_prompts(trained, prompts, deadline)) if prompts else {}
    return General(
        Sampled([passages[at] for at in sorted(passages)], len(rows)),
        Sampled([answers[at] for at in sorted(answers)], len(prompts)),
    )


def prompt_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """A user's message as the run's template renders it; as it stands without a template, or if that refuses it."""
    rendered = text
    if tokenizer.template is not None:
        try:
            rendered, _ = tokenizer.render([{"role": "user", "content": text}], generation_prompt=True)
        except Exception:  # a template is a program, and may demand a system message or a tool
            rendered = text
    return list(tokenizer.hf(rendered, add_special_tokens=rendered == text)["input_ids"])


Texts = list[tuple[Text, list[int]]]  # texts with their ids


def _passages(trained: Trained, rows: Texts, deadline: float) -> Iterator[tuple[int, Passage]]:
    for batch in in_time(list(enumerate(rows)), READ, deadline):
        found = compare(trained, [(ids, ids) for _, (_, ids) in batch])
        for (at, (text, ids)), values in zip(batch, found, strict=True):
            yield at, Passage(text.key, text.kind, text.text, *values, tokens=len(ids) - 1)


def _prompts(trained: Trained, prompts: Texts, deadline: float) -> Iterator[tuple[int, Prompt]]:
    """The KL along the base's answers, at the token that ended them too: one more id, which none of them reads."""
    for batch in in_time(list(enumerate(prompts)), ASK, deadline):
        with trained.as_base() as model:
            replies = greedy(model, trained.tokenizer, [ids for _, (_, ids) in batch], ANSWER)
        pairs = [(ids, reply.ids + [0] * reply.stopped) for (_, (_, ids)), reply in zip(batch, replies, strict=True)]
        found = compare(trained, [(ids + said, [IGNORE] * len(ids) + said) for ids, said in pairs])
        for (at, (text, _)), reply, (_, _, kl) in zip(batch, replies, found, strict=True):
            yield at, Prompt(text.key, text.text, reply.text, kl)


def compare(trained: Trained, batch: Sequence[Row]) -> list[tuple[float, float, float]]:
    """For each row: loss of base and tuned model, and KL(base || tuned), each a mean over its supervised tokens."""
    with trained.as_base() as model:
        before, target, counts = _logits(model, batch)
    after, _, _ = _logits(trained.model, batch)
    values = compared(before, after.to(before.device), target)
    return [tuple(part.mean(0).tolist()) for part in values.split(counts)]


def compared(before: Any, after: Any, target: Any) -> Any:
    """Loss of either and KL at each position, from logits (positions, vocabulary); shape (positions, 3), in float32."""
    import torch

    parts = []
    for one, other, ids in zip(before.split(CHUNK), after.split(CHUNK), target.split(CHUNK), strict=True):
        base, tuned = one.float().log_softmax(-1), other.float().log_softmax(-1)
        chance = base.exp()
        # A token that the base rules out adds nothing, though its logarithm is -inf in both.
        kl = torch.where(chance == 0, 0.0, chance * (base - tuned)).sum(-1).clamp_min(0)
        losses = [-scores.gather(1, ids[:, None])[:, 0] for scores in (base, tuned)]
        parts.append(torch.stack([*losses, kl], 1))
    return torch.cat(parts)


def _logits(model: Any, batch: Sequence[Row]) -> tuple[Any, Any, list[int]]:
    """Logits where a token is supervised, these tokens, and how many each row has."""
    import torch

    ids, mask, labels = padded(model, list(batch))
    target = labels[:, 1:]
    keep = target != IGNORE
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1][keep]
    return logits, target[keep], keep.sum(1).tolist()


def _most_tokens(trained: Trained) -> int:
    """`LIMIT`, or less where the model has fewer positions."""
    return min(LIMIT, getattr(trained.model.config, "max_position_embeddings", None) or LIMIT)

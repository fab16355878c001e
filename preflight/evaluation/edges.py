"""Unusual prompts, asked of base and tuned model, and what is wrong with the answers."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from preflight.config import Config
from preflight.evaluation.budget import Budget, Sampled, in_time
from preflight.evaluation.edge_cases import OBEYED, SMUGGLED, TEXTS, Case, Manner, cases_of, limit_of, manner_of
from preflight.evaluation.generate import BATCH, Reply, Speak, speakers
from preflight.evaluation.loops import loops
from preflight.evaluation.trained import Trained
from preflight.evaluation.turns import Marks, marks_of
from preflight.findings import NotApplicable, NotAvailable

SHOWN = 300  # characters of a prompt
WORDS = 5  # of a prompt whose repetition is an echo
NOT_ECHO = 0.2  # share of an answer that is left without the prompt
ORDER_CASE = TEXTS[-1][0]


@dataclass(frozen=True)
class Said:
    """What a model says to a case.

    Attributes:
        text: The answer; empty if there is none.
        stopped: Whether it ended by itself.
        fault: What is wrong with it; None if nothing is.
        fatal: Whether there is no answer at all: a crash, or logits that are no numbers.
    """

    text: str
    stopped: bool = False
    fault: str | None = None
    fatal: bool = False


@dataclass(frozen=True)
class Edge:
    """A case and the answers of both models.

    Attributes:
        name: What is unusual.
        prompt: What the user says.
        base: What the base model says.
        tuned: What the tuned model says.
        own: Where it stands, if it is a case of the user's.
    """

    name: str
    prompt: str
    base: Said
    tuned: Said
    own: str = ""

    @property
    def worse(self) -> bool:
        """Whether the tuned model fails where the base doesn't, or not as badly."""
        return self.tuned.fault is not None and (self.base.fault is None or self.tuned.fatal > self.base.fatal)

    @property
    def better(self) -> bool:
        """Whether the base fails where the tuned model doesn't."""
        return self.base.fault is not None and self.tuned.fault is None


def edges_of(config: Config, trained: Trained, budget: Budget) -> Sampled[Edge]:
    """Answers of both models to unusual prompts, in the time there is: the user's first, long ones last."""
    manner = manner_of(config, trained.tokenizer)
    cases = cases_of(config, manner, context_of(trained.model))
    marks = marks_of(trained.tokenizer, manner.answers, [] if manner.chat else manner.asked)
    base, tuned = speakers(config, trained)
    limit = limit_of(config)
    found: list[Edge] = []
    with budget.part("edges") as deadline:
        for (batch,) in in_time(batched(cases), 1, deadline):
            before, after = (_say(trained, speak, batch, limit) for speak in (base, tuned))
            for case, one, other in zip(batch, before, after, strict=True):
                if one is None or other is None:  # this machine has too little memory for it
                    continue
                first, second = (judge(case, said, manner, marks) for said in (one, other))
                found.append(Edge(case.name, case.prompt, first, second, case.own))
    return Sampled(obeying(found), len(cases))


def batched(cases: Sequence[Case]) -> list[list[Case]]:
    """The cases in batches, those that are asked alone last."""
    together = [case for case in cases if not case.alone]
    return [together[n : n + BATCH] for n in range(0, len(together), BATCH)] + [[case] for case in cases if case.alone]


def context_of(model: Any) -> int | None:
    """Tokens that a model can read, answer included; None if its config names no limit."""
    config = getattr(model.config, "text_config", None) or model.config
    limits = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len")]
    return min((limit for limit in limits if isinstance(limit, int) and limit > 0), default=None)


def judge(case: Case, said: Said | Reply, manner: Manner, marks: Marks) -> Said:
    """What is wrong with an answer to a case."""
    if isinstance(said, Said):
        return said
    fault = loops(said.text)
    if marker := marks.first(said):
        fault = f"holds {marker!r}, which belongs to the format"
    elif not fault and not manner.copies and echoes(said.text, case.prompt):
        fault = "is the prompt over again"
    return Said(said.text, said.stopped, fault)


def echoes(answer: str, prompt: str) -> bool:
    """Whether an answer is its prompt and hardly more."""
    answer, prompt = (" ".join(text.casefold().split()) for text in (answer, prompt))
    if len(re.findall(r"\w+", prompt)) < WORDS or prompt not in answer:
        return False
    return len(answer.replace(prompt, "").strip()) < NOT_ECHO * len(answer)


def obeying(edges: list[Edge]) -> list[Edge]:
    """The cases, where the tuned model obeys a smuggled turn that the base withstands, though it can obey."""
    said = {edge.name: edge for edge in edges if not edge.own}
    order, smuggled = said.get(ORDER_CASE), said.get(SMUGGLED)
    if not order or not smuggled or smuggled.tuned.fault:
        return edges
    if not obeys(smuggled.tuned) or obeys(smuggled.base) or not obeys(order.base):
        return edges
    changed = replace(smuggled, tuned=replace(smuggled.tuned, fault="obeys the turn that the prompt smuggles in"))
    return [changed if edge is smuggled else edge for edge in edges]


def obeys(said: Said) -> bool:
    """Whether an answer is the word that was ordered."""
    return re.sub(r"\W", "", said.text).casefold() == OBEYED


def listed(edges: Sampled[Edge]) -> dict[str, list[dict[str, Any]]]:
    """The cases as the HTML report shows them."""
    return {
        "cases": [
            {
                "name": edge.name,
                "prompt": edge.prompt[:SHOWN],
                "base": edge.base.text,
                "tuned": edge.tuned.text,
                "stopped": edge.tuned.stopped,
                "fault": edge.tuned.fault,
                "base_fault": edge.base.fault,
            }
            for edge in edges
        ]
    }


def _say(trained: Trained, speak: Speak, batch: Sequence[Case], limit: int) -> list[Said | Reply | None]:
    """What a model says to each case: a reply, why there is none, or None where memory doesn't suffice."""
    said: list[Said | Reply | None] = [Said("", fault=case.problem, fatal=True) for case in batch]
    asked = [number for number, case in enumerate(batch) if case.ids]
    if not asked:
        return said
    try:
        with not_finite(trained.model) as bad:
            replies = speak([batch[number].ids for number in asked], limit)
    except (NotApplicable, NotAvailable):  # the server that was to answer
        raise
    except Exception as error:  # which of the cases it was is found one by one
        return [one for case in batch for one in _say(trained, speak, [case], limit)] if batch[1:] else [_crash(error)]
    for row, (number, reply) in enumerate(zip(asked, replies, strict=True)):
        said[number] = Said("", fault="makes logits that are no numbers", fatal=True) if row in bad else reply
    return said


def _crash(error: Exception) -> Said | None:
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return None
    first = str(error).partition("\n")[0][:200]
    return Said("", fault=f"crashes the model: {type(error).__name__}: {first}", fatal=True)


@contextlib.contextmanager
def not_finite(model: Any) -> Iterator[set[int]]:
    """Watch the logits of the last token of each row while a model speaks.

    Yields:
        The rows that had one that was no number, filled meanwhile.
    """
    rows: set[int] = set()

    def look(_: Any, __: Any, logits: Any) -> None:
        rows.update((~logits[:, -1].isfinite().all(-1)).nonzero().flatten().tolist())

    head = model.get_output_embeddings()
    handle = head.register_forward_hook(look) if head is not None else None
    try:
        yield rows
    finally:
        if handle is not None:
            handle.remove()

"""What the model is asked: prompts of held-out examples, rendered as they were for training."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from preflight.config import Config
from preflight.data import label, readers, source
from preflight.data.readers import Broken, Row
from preflight.data.render import Rules
from preflight.data.shapes import Example, ShapeError
from preflight.data.store import Split
from preflight.evaluation.budget import spread
from preflight.evaluation.loss import max_tokens
from preflight.findings import counted, not_applicable, not_available
from preflight.model.tokenizer import Tokenizer

ANSWERS = Rules(assistant_only_loss=True, completion_only_loss=True)  # tell prompt from answer

Picked = tuple[str, Row, Example]  # its place first


@dataclass(frozen=True)
class Question:
    """A prompt with the answer that was expected.

    Attributes:
        where: Its place, for a finding: `validation row 3`, `eval.jsonl:3`.
        ids: The prompt, with the generation prompt.
        expected: The first answer of the example, in ids, without the token that ends it.
        columns: The row as it stands in its file.
    """

    where: str
    ids: list[int]
    expected: list[int]
    columns: Mapping[str, Any] = field(default_factory=dict)


def questions_of(config: Config, tokenizer: Tokenizer, validation: Split | None) -> list[Question]:
    """Up to `evaluation.max_examples` questions, spread over `evaluation.data` or else over the validation split.

    Made from the user's own rows: where all of a conversation is learned, labels don't tell prompt from answer.

    Raises:
        NotApplicable: there is nothing held out, or it is plain text, which asks nothing.
        NotAvailable: no prompt could be made of it.
    """
    wanted = config.evaluation.max_examples
    if config.evaluation.data is not None:
        rows = _of_file(config)
        picked = [rows[index] for index in sorted(spread(len(rows), wanted))]
    elif validation is None:
        not_applicable("the config has neither validation data nor evaluation.data")
    elif not validation.rows:
        not_available("no validation example could be prepared; see DATA-100 and DATA-101")
    else:
        asking = validation.profile[validation.profile["shape"] != "text"]
        if asking.empty:
            not_applicable("the held-out examples are plain text: there is no prompt to answer")
        numbers = set(asking.iloc[spread(len(asking), wanted)]["row"])
        picked = list(_of_split(config, numbers))
    limit = max_tokens(config)
    made = (_question(tokenizer, limit, *found) for found in picked)
    found = [question for question in made if question]
    if not found:
        not_available(f"none of {counted(len(picked), 'held-out prompt')} has at most {limit} tokens and an answer")
    return found


def _of_split(config: Config, numbers: set[int]) -> Iterator[Picked]:
    for number, row, example in source.examples(config, "validation"):
        if number in numbers:
            yield f"validation row {number}", row, example


def _of_file(config: Config) -> list[Picked]:
    name = str(config.evaluation.data)
    normal, found = source.normaliser(config), []
    for row in readers.read(config.resolve(name), name):
        if isinstance(row, Broken):
            not_available(f"evaluation.data: {row.where}: {row.problem}")
        try:
            found.append((row.where, row, normal(row)))
        except ShapeError as error:
            not_available(f"evaluation.data: {row.where}: {error}")
    return found


def _question(tokenizer: Tokenizer, limit: int, where: str, row: Row, example: Example) -> Question | None:
    """The question of an example up to its first answer; none if it has no answer, or is longer than `limit`."""
    done = label.one(example, tokenizer, ANSWERS)
    learned = np.flatnonzero(done.learned)
    if not len(learned) or not 0 < learned[0] <= limit:  # a longer prompt cut would be another question
        return None
    return Question(where, done.ids[: learned[0]].tolist(), _first_turn(tokenizer, done.ids[learned]), row.value)


def _first_turn(tokenizer: Tokenizer, learned: Any) -> list[int]:
    ids = [int(token) for token in learned]
    return ids[: next((n for n, token in enumerate(ids) if token in tokenizer.stop_ids), len(ids))]

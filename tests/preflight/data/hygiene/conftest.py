"""What the hygiene pass finds in rows made for a test, without a file or a tokenizer."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from preflight.data import shapes
from preflight.data.hygiene import Hygiene
from preflight.data.hygiene.sweep import scans, sweep
from preflight.data.readers import Row


@pytest.fixture(scope="session")
def look() -> Callable[[Sequence[dict[str, Any]]], Hygiene]:
    """Sweep over rows of any shape; the tokenizer's own special tokens are those of ChatML."""

    def swept(rows: Sequence[dict[str, Any]], step: int = 1) -> Hygiene:
        examples = ((at, Row("train.jsonl", at + 1, row), shapes.normalise(row)) for at, row in enumerate(rows))
        return sweep(examples, scans(r"<\|im_start\|>|<\|im_end\|>"), step)

    return swept


@pytest.fixture(scope="session")
def varieties(look: Callable[..., Hygiene]) -> Callable[..., set[str]]:
    """The varieties of a kind that are found in one exchange of question and answer."""

    def found(kind: str, answer: str, question: str = "What is it?") -> set[str]:
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        return set(look([{"messages": messages}]).varieties.get(kind, {}))

    return found

"""Checks judged on a profile that a test makes up: no files, no tokenizer, many rows for nothing."""

import inspect
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from preflight.data import expectations
from preflight.data.label import IGNORE
from preflight.data.store import PROFILE
from preflight.findings import Finding, Found, NotApplicable
from preflight.registry import meta_of

ORDINARY = {
    "shape": "messages",
    "task": None,
    "roles": "ua",
    "length": 60,
    "kept": 60,
    "answer": 20,
    "supervised": 20,
    "head": 0,
    "ends_turn": True,
    "matches": True,
    "prefix_ok": True,
    "chars": 240,
    "said": 80,
    "script": "Latin",
    "asks_nothing": False,
    "declines": False,
    "flags": 0,
}


@pytest.fixture
def split() -> Callable[..., Any]:
    """`split(9, length=[...])`: a split of nine different, ordinary rows, but for the columns given.

    With `near`, pairs of similar rows, or `with_ids` it has ids too, by default the same prompt of 40 tokens and the
    same answer of 20 in each row.
    """
    import pandas as pd

    def make(
        rows: int,
        name: str = "train",
        near: Sequence[tuple[int, int]] = (),
        *,
        with_ids: bool = False,
        asks: Callable[[int], list[int]] = lambda _: list(range(40)),
        says: Callable[[int], list[int]] = lambda _: list(range(50, 70)),
        **columns: Any,
    ) -> Any:
        numbers = range(rows)
        own = {column: range(rows) for column in ("row", "example_hash", "prompt_hash", "answer_hash")}
        own["where"] = [f"{name}.jsonl:{number + 1}" for number in numbers]
        profile = pd.DataFrame({**ORDINARY, **own, **columns}, index=numbers)[PROFILE.names]
        pairs = pd.DataFrame([(*pair, 0.9) for pair in near], columns=["row", "other", "similarity"])
        made = SimpleNamespace(name=name, rows=rows, profile=profile, near=pairs)
        if with_ids or near:
            made.examples = _examples([(asks(number), says(number)) for number in numbers])
        return made

    return make


def _examples(sides: list[tuple[list[int], list[int]]]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [asked + said for asked, said in sides],
            "labels": [[IGNORE] * len(asked) + said for asked, said in sides],
            "length": [len(asked + said) for asked, said in sides],
        }
    )


@pytest.fixture
def judge(tmp_path: Any) -> Callable[..., list[Finding]]:
    """`judge(check, train, validation, data={...}, packing=True)`: the check's findings; None if not applicable."""

    def run(
        check: Callable[..., None], train: Any, validation: Any = None, *, task: str = "style-transfer", **given: Any
    ) -> list[Finding] | None:
        meta = meta_of(check)
        limits = SimpleNamespace(**{**meta.thresholds, **given.pop("thresholds", {})})
        data = {"task_field": None, "validation_split": None, "slices": {}, "benchmarks": None, **given.pop("data", {})}
        training = {"packing": False, "shuffle_dataset": False, "train_sampling_strategy": "random", **given}
        arguments = {
            "train": train,
            "validation": validation,
            "profile": getattr(train, "profile", None),
            "limits": limits,
            "evidence": lambda *_, **__: None,
            "config": SimpleNamespace(
                data=SimpleNamespace(**data),
                task=SimpleNamespace(type=task),
                where=lambda key: key,
                training_value=training.get,
            ),
        }
        wanted = inspect.signature(check).parameters
        if "expected" in wanted:
            asked = {meta.code: (meta.expect, limits)}
            arguments["expected"] = expectations.validate(train.profile, asked, tmp_path)[meta.code]
        try:
            check(**{name: arguments[name] for name in wanted})
        except Found as found:
            return list(found.findings)
        except NotApplicable:
            return None
        return []

    return run

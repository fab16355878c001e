"""Near duplicates: pairs that share most of their words are found, and what a template puts everywhere is not."""

import random

import numpy as np
import pytest

from preflight.config import load_config
from preflight.data import similar
from preflight.data.prepare import prepare
from preflight.model.tokenizer import load_tokenizer

WORDS = [
    f"{a}{b}"
    for a in ("car", "bot", "lam", "sil", "ter", "vin", "gor", "pel")
    for b in ("", "ing", "er", "al", "on", "ate")
]


def text(seed, count=60):
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def chat(question, answer, system=None):
    messages = [{"role": "system", "content": system}] if system else []
    return {"messages": [*messages, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def with_one_word_changed(words, seed):
    parts = words.split()
    parts[random.Random(seed).randrange(len(parts))] = "changed"
    return " ".join(parts)


def prepared(project, train, validation=None):
    project.rows(train)
    if validation is not None:
        project.rows(validation, "validation.jsonl")
    config = load_config(project.write())
    return prepare(config, load_tokenizer(config))


def pairs(split):
    return {(row.row, row.other) for row in split.near.itertuples()}


def test_a_copy_with_one_word_changed_is_found_with_its_original(project):
    different = [chat(text(seed), text(-seed - 1)) for seed in range(40)]
    copies = [chat(text(seed), with_one_word_changed(text(-seed - 1), seed)) for seed in range(10)]
    made = prepared(project, [*different, *copies], [copies[3], chat(text(500), text(501))])

    assert pairs(made.train) == {(40 + number, number) for number in range(10)}
    assert made.train.near["similarity"].between(0.8, 1).all()
    assert {row for row, _ in pairs(made.validation)} == {0}
    assert {other for _, other in pairs(made.validation)} <= {3, 43}


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([chat(text(n), text(-n)) for n in range(50)], id="nothing in common"),
        pytest.param([chat(f"What is {n} plus {n + 1}?", f"It is {2 * n + 1}.") for n in range(50)], id="short"),
        pytest.param([chat(text(n, 20), text(-n, 20), text(777, 200)) for n in range(50)], id="one system prompt"),
        pytest.param(
            [chat(text(n, 20), text(-n, 20), text(777 + n % 30, 200)) for n in range(60)], id="many system prompts"
        ),
        pytest.param([chat(f"{text(777, 150)}: {text(n, 25)}", "yes") for n in range(50)], id="one instruction"),
    ],
)
def test_what_rows_share_by_design_makes_no_pair(project, rows):
    assert pairs(prepared(project, rows).train) == set()


def test_equal_rows_are_pairs_whatever_their_number(project):
    made = prepared(
        project,
        [chat(text(n % 5), text(-n % 5)) for n in range(15)] + [chat(text(n), text(-n)) for n in range(50, 250)],
    )

    assert pairs(made.train) >= {(n, n % 5) for n in range(5, 15)}


def test_most_pairs_of_four_fifths_are_found():
    """Recall and false candidates on planted runs of tokens, without any text."""
    generator = np.random.default_rng(0)
    rows = [generator.integers(0, 40_000, 200) for _ in range(300)]
    changed = [row.copy() for row in rows]
    for row in changed:
        row[generator.integers(0, 200, 3)] = 39_999  # at most 15 of 196 runs differ: 0.86 and more in common
    ids = np.concatenate([*rows, *changed]).astype(np.int32)
    starts = np.arange(601) * 200
    sketch = similar.sketch(
        [(ids, starts, np.arange(600), np.zeros(600, dtype=np.int64))], np.zeros(similar.TABLE, bool)
    )
    found = {
        (row, other)
        for row, other in zip(*(similar.pairs(sketch)[name].to_pylist() for name in ("row", "other")), strict=True)
    }

    wanted = {(300 + number, number) for number in range(300)}
    assert len(found & wanted) >= 0.97 * 300
    assert not found - wanted

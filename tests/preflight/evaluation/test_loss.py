"""Loss of both models, against transformers' own on one example at a time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from preflight.evaluation.budget import Budget
from preflight.evaluation.loss import BATCH, held_out_loss, losses
from preflight.model import build


def measure(config, trained, split, minutes=10.0):
    return held_out_loss(config, trained, split, Budget(minutes * 60))


def own_loss(model, ids, labels):
    """transformers' own loss of one example."""
    with torch.inference_mode():
        return float(model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss)


@pytest.mark.parametrize("whole", [True, False], ids=["assistant only", "all of it"])
def test_the_loss_is_transformers_own_whatever_the_padding(flight, whole):
    config, trained, split = flight(training={"assistant_only_loss": whole})
    rows = [split.examples[number] for number in range(split.rows)]

    found = measure(config, trained, split)

    assert len({len(row["input_ids"]) for row in rows}) > 3  # so that they are padded
    assert found.tuned == pytest.approx([own_loss(trained.model, row["input_ids"], row["labels"]) for row in rows])
    assert found.tokens == [sum(label != -100 for label in row["labels"][1:]) for row in rows]
    alone = build.load_base(config).eval()
    assert found.base == pytest.approx([own_loss(alone, row["input_ids"], row["labels"]) for row in rows])
    assert found.base != pytest.approx(found.tuned)


def test_the_mean_weighs_tokens(flight):
    config, trained, split = flight()
    found = measure(config, trained, split)

    total = sum(loss * count for loss, count in zip(found.tuned, found.tokens, strict=True))

    assert found.tuned_mean == pytest.approx(total / sum(found.tokens))


def test_examples_without_a_label_are_left_out(flight):
    """Truncation can leave an example nothing to learn; its loss would be 0 for both models."""
    config, trained, split = flight(training={"max_length": 42})
    empty = sum(set(row["labels"][1:]) == {-100} for row in split.examples)

    found = measure(config, trained, split)

    assert 0 < empty < split.rows
    assert len(found.tuned) == len(found.base) == len(found.tokens) == split.rows - empty
    assert 0 not in found.tokens


def test_every_example_of_a_small_set_is_used(flight):
    config, trained, split = flight(evaluation={"max_examples": 64})

    assert len(measure(config, trained, split).tuned) == 11


def test_the_budget_limits_examples(flight):
    config, trained, split = flight(evaluation={"max_examples": 5})
    assert len(measure(config, trained, split).tuned) == 5

    config, trained, split = flight(evaluation={"max_examples": 64, "max_new_tokens": 2})
    assert len(measure(config, trained, split, 1e-9).tuned) == BATCH


def test_packed_training_is_judged_by_single_examples(flight):
    config, trained, split = flight(training={"packing": True})

    assert len(measure(config, trained, split).tuned) == 11


def test_full_fine_tuning_has_its_base_beside_it(flight):
    config, trained, split = flight(lora=None, training={"learning_rate": 1e-5})
    found = measure(config, trained, split)

    row = split.examples[0]
    assert found.base[0] == pytest.approx(own_loss(trained.base, row["input_ids"], row["labels"]))
    assert found.tuned[0] == pytest.approx(own_loss(trained.model, row["input_ids"], row["labels"]))


@given(st.lists(st.tuples(st.integers(2, 12), st.integers(0, 11)), min_size=1, max_size=4))
def test_padding_never_matters(shapes):
    """Whatever the lengths in a batch and wherever the labels start: one by one and together are the same."""
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(50, 8)
    head = torch.nn.Linear(8, 50)

    class Model:
        device = "cpu"

        def __call__(self, input_ids, attention_mask):
            return type("Out", (), {"logits": head(embedding(input_ids).cumsum(1))})

    batch = []
    for length, start in shapes:
        first = min(start, length - 1)
        ids = list(range(3, 3 + length))
        batch.append((ids, [-100] * first + ids[first:]))

    together = losses(Model(), batch)

    assert [loss for loss, _ in together] == pytest.approx([losses(Model(), [row])[0][0] for row in batch], rel=1e-4)

"""Held-out loss and greedy answers, against transformers' own on one example at a time."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from preflight import evaluate
from preflight.config import load_config
from preflight.data.prepare import prepare
from preflight.evaluate import _greedy, _losses, _spread, generate, held_out_loss
from preflight.findings import NotApplicable, NotAvailable
from preflight.model import build
from preflight.model.tokenizer import load_tokenizer

CHATS = [
    {
        "messages": [
            {"role": "user", "content": "How do I mend a lamp? " + "Please. " * (number % 5)},
            {"role": "assistant", "content": "With wire number " + "and patience " * (number % 4) + f"{number}."},
        ]
    }
    for number in range(11)
]


@pytest.fixture
def flight(project):
    """Config, trained model and validation split of the project; the adapter is random, and so does something."""

    def made(**sections):
        config = load_config(project.set(**sections).write())
        tokenizer = load_tokenizer(config)
        base = build.load_base(config)
        if config.lora is None:
            torch.manual_seed(1)
            tuned = build.load_base(config)
            tuned.model.layers[0].mlp.up_proj.weight.data.normal_()
            return config, evaluate.Trained(tuned.eval(), tokenizer, base.eval()), prepare(config, tokenizer).validation
        from peft import get_peft_model

        torch.manual_seed(1)
        model = get_peft_model(base, build.lora_config(config))
        for name, matrix in model.named_parameters():
            if "lora_B" in name:
                matrix.data.normal_()
        return config, evaluate.Trained(model.eval(), tokenizer), prepare(config, tokenizer).validation

    project.rows(CHATS, "validation.jsonl")
    return made


def own_loss(model, ids, labels):
    """transformers' own loss of one example."""
    with torch.inference_mode():
        return float(model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss)


@pytest.mark.parametrize("whole", [True, False], ids=["assistant only", "all of it"])
def test_the_loss_is_transformers_own_whatever_the_padding(flight, whole):
    config, trained, split = flight(training={"assistant_only_loss": whole})
    rows = [split.examples[number] for number in range(split.rows)]

    found = held_out_loss(config, trained, split)

    assert len({len(row["input_ids"]) for row in rows}) > 3  # so that they are padded
    assert found.tuned == pytest.approx([own_loss(trained.model, row["input_ids"], row["labels"]) for row in rows])
    assert found.tokens == [sum(label != -100 for label in row["labels"][1:]) for row in rows]
    alone = build.load_base(config).eval()
    assert found.base == pytest.approx([own_loss(alone, row["input_ids"], row["labels"]) for row in rows])
    assert found.base != pytest.approx(found.tuned)


def test_the_mean_weighs_tokens(flight):
    config, trained, split = flight()
    found = held_out_loss(config, trained, split)

    total = sum(loss * count for loss, count in zip(found.tuned, found.tokens, strict=True))

    assert found.tuned_mean == pytest.approx(total / sum(found.tokens))


def test_examples_without_a_label_are_left_out(flight):
    """Truncation can leave an example nothing to learn; its loss would be 0 for both models."""
    config, trained, split = flight(training={"max_length": 42})
    empty = sum(set(row["labels"][1:]) == {-100} for row in split.examples)

    found = held_out_loss(config, trained, split)

    assert 0 < empty < split.rows
    assert len(found.tuned) == len(found.base) == len(found.tokens) == split.rows - empty
    assert 0 not in found.tokens


def test_every_example_of_a_small_set_is_used(flight):
    config, trained, split = flight(evaluation={"max_examples": 64})

    assert len(held_out_loss(config, trained, split).tuned) == 11


def test_the_budget_limits_examples(flight):
    config, trained, split = flight(evaluation={"max_examples": 5})
    assert len(held_out_loss(config, trained, split).tuned) == 5

    config, trained, split = flight(evaluation={"max_examples": 64, "max_minutes": 1e-9, "max_new_tokens": 2})
    assert len(held_out_loss(config, trained, split).tuned) == evaluate.BATCH
    assert len(generate(config, trained, split)) == evaluate.BATCH


def test_packed_training_is_judged_by_single_examples(flight):
    config, trained, split = flight(training={"packing": True})

    assert len(held_out_loss(config, trained, split).tuned) == 11


def test_full_fine_tuning_has_its_base_beside_it(flight):
    config, trained, split = flight(lora=None, training={"learning_rate": 1e-5})
    found = held_out_loss(config, trained, split)

    row = split.examples[0]
    assert found.base[0] == pytest.approx(own_loss(trained.base, row["input_ids"], row["labels"]))
    assert found.tuned[0] == pytest.approx(own_loss(trained.model, row["input_ids"], row["labels"]))


def test_a_batch_answers_what_single_prompts_answer(flight):
    _, trained, split = flight()
    prompts = [split.examples[number]["input_ids"][:length] for number, length in enumerate((5, 19, 9, 14))]

    together = _greedy(trained.model, trained.tokenizer, prompts, 12)

    assert together == [_greedy(trained.model, trained.tokenizer, [prompt], 12)[0] for prompt in prompts]
    assert len({text for text, _ in together}) > 1


def test_answers_of_the_base_are_those_of_the_base_alone(flight):
    config, trained, split = flight(evaluation={"max_new_tokens": 8})

    answers = generate(config, trained, split)

    alone = build.load_base(config).eval()
    ids = [trained.tokenizer.hf(answer.prompt, add_special_tokens=False)["input_ids"] for answer in answers]
    assert [(answer.base, answer.base_stopped) for answer in answers] == [
        _greedy(alone, trained.tokenizer, [prompt], 8)[0] for prompt in ids
    ]


class Scripted:
    """A model that says the same ids to everyone."""

    device = "cpu"

    def __init__(self, *said):
        self.said = said

    def generate(self, input_ids, **_):
        return torch.cat([input_ids, torch.tensor([self.said] * len(input_ids))], dim=1)


@pytest.mark.parametrize(
    "said, stopped",
    [
        pytest.param((100, 101, 2), True, id="ends with a stop token"),
        pytest.param((100, 101, 2, 2, 2), True, id="and padding, which is the same token"),
        pytest.param((2,), True, id="at once"),
        pytest.param((100, 101), False, id="runs into the limit"),
    ],
)
def test_what_stopped_an_answer(flight, said, stopped):
    _, trained, _ = flight()

    ((text, end),) = _greedy(Scripted(*said), trained.tokenizer, [[5, 6]], 8)

    assert end == stopped
    assert text == ("" if said == (2,) else trained.tokenizer.hf.decode([100, 101]))


PROMPT = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\n"
TURNS = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"}]
ANSWER = {"role": "assistant", "content": "Hello."}


@pytest.mark.parametrize(
    "row, prompt, training",
    [
        pytest.param({"messages": [*TURNS, ANSWER]}, PROMPT, {}, id="messages"),
        pytest.param({"messages": [*TURNS, ANSWER]}, PROMPT, {"assistant_only_loss": False}, id="all of it learned"),
        pytest.param({"messages": [*TURNS, ANSWER, TURNS[1], ANSWER]}, PROMPT, {}, id="the first of two turns"),
        pytest.param({"prompt": TURNS, "completion": [ANSWER]}, PROMPT, {}, id="prompt and completion of messages"),
        pytest.param({"prompt": "Q: Hi?\nA:", "completion": " Hello."}, "Q: Hi?\nA:", {}, id="plain completion"),
        pytest.param(
            {"prompt": "Q: Hi?\nA:", "completion": " Hello."},
            "Q: Hi?\nA:",
            {"completion_only_loss": False, "assistant_only_loss": False},
            id="plain completion, all of it learned",
        ),
        pytest.param({"messages": [*TURNS, ANSWER]}, PROMPT, {"packing": True}, id="packed"),
    ],
)
def test_the_model_is_asked_what_it_will_be_asked(project, flight, row, prompt, training):
    project.rows([row], "validation.jsonl")
    config, trained, split = flight(training=training, evaluation={"max_new_tokens": 2})

    (answer,) = generate(config, trained, split)

    assert answer.prompt == prompt
    assert answer.expected.strip() == "Hello."
    assert answer.expected_tokens in (2, 3)


def test_prompts_of_a_validation_split(project, flight):
    """They are the rows that were held out of the training file, by their number there."""
    project.config["data"] = {"train": "train.jsonl", "validation_split": 0.05}
    config, trained, split = flight(evaluation={"max_new_tokens": 2})

    answers = generate(config, trained, split)

    assert len(answers) == evaluate.PROMPTS
    assert {answer.row for answer in answers} <= set(split.profile["row"])
    assert all(f"It is number {answer.row}." in answer.prompt for answer in answers)


def test_text_asks_nothing(project, flight):
    project.rows([{"text": "A lamp burns."}] * 3, "validation.jsonl")

    with pytest.raises(NotApplicable, match="plain text"):
        generate(*flight())


def test_prompts_that_are_all_too_long(flight):
    """A prompt that is cut is another question; better none than that."""
    with pytest.raises(NotAvailable, match="at most 8 tokens"):
        generate(*flight(training={"max_length": 8}))


@given(st.integers(0, 500), st.integers(1, 100))
def test_spread(total, wanted):
    found = _spread(total, wanted)

    assert len(found) == len(set(found)) == min(total, wanted)
    assert found == sorted(found)
    assert set(found) <= set(range(total))
    if len(found) > 1:
        assert (found[0], found[-1]) == (0, total - 1)
        gaps = [after - before for before, after in pairwise(found)]
        assert max(gaps) - min(gaps) <= 1


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

    together = _losses(Model(), batch)

    assert [loss for loss, _ in together] == pytest.approx([_losses(Model(), [row])[0][0] for row in batch], rel=1e-4)

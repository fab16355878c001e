"""Greedy answers and what is asked, against the base model alone and against the rows."""

import pytest
import torch

from preflight.evaluation.budget import Budget
from preflight.evaluation.generate import BATCH, answers_of, greedy
from preflight.evaluation.questions import questions_of
from preflight.findings import NotApplicable, NotAvailable
from preflight.model import build


def ask(config, trained, split, minutes=10.0):
    return answers_of(config, trained, questions_of(config, trained.tokenizer, split), Budget(minutes * 60))


def test_a_batch_answers_what_single_prompts_answer(flight):
    _, trained, split = flight()
    prompts = [split.examples[number]["input_ids"][:length] for number, length in enumerate((5, 19, 9, 14))]

    together = greedy(trained.model, trained.tokenizer, prompts, 12)

    assert together == [greedy(trained.model, trained.tokenizer, [prompt], 12)[0] for prompt in prompts]
    assert len({one.text for one in together}) > 1


def test_answers_of_the_base_are_those_of_the_base_alone(flight):
    config, trained, split = flight(evaluation={"max_new_tokens": 8})

    answers = ask(config, trained, split)

    alone = build.load_base(config).eval()
    ids = [trained.tokenizer.hf(answer.prompt, add_special_tokens=False)["input_ids"] for answer in answers]
    assert [answer.base for answer in answers] == [greedy(alone, trained.tokenizer, [prompt], 8)[0] for prompt in ids]


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

    (reply,) = greedy(Scripted(*said), trained.tokenizer, [[5, 6]], 8)

    assert reply.stopped == stopped
    assert reply.text == ("" if said == (2,) else trained.tokenizer.hf.decode([100, 101]))


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

    (answer,) = ask(config, trained, split)

    assert answer.prompt == prompt
    assert answer.expected.strip() == "Hello."
    assert answer.expected_tokens in (2, 3)


def test_prompts_of_a_validation_split(project, flight):
    """They are the rows that were held out of the training file, by their number there."""
    project.config["data"] = {"train": "train.jsonl", "validation_split": 0.05}
    config, trained, split = flight(evaluation={"max_new_tokens": 2})

    answers = ask(config, trained, split)

    assert len(answers) == split.rows
    assert [answer.where for answer in answers] == [f"validation row {row}" for row in split.profile["row"]]
    assert all(f"It is number {answer.where.split()[-1]}." in answer.prompt for answer in answers)


def test_text_asks_nothing(project, flight):
    project.rows([{"text": "A lamp burns."}] * 3, "validation.jsonl")

    with pytest.raises(NotApplicable, match="plain text"):
        ask(*flight())


def test_prompts_that_are_all_too_long(flight):
    """A prompt that is cut is another question; better none than that."""
    with pytest.raises(NotAvailable, match="at most 8 tokens"):
        ask(*flight(training={"max_length": 8}))


def test_the_time_limits_answers(project, flight):
    project.rows([{"messages": [*TURNS, ANSWER]}] * (BATCH + 5), "validation.jsonl")

    answers = ask(*flight(evaluation={"max_new_tokens": 1}), minutes=1e-9)

    assert len(answers) == BATCH
    assert f"of {BATCH + 5}" in answers.note


def test_questions_of_a_file_of_their_own(project, flight):
    project.rows([{"prompt": "Q: Hi?\nA:", "completion": " Hello.", "tests": "assert True"}], "asked.jsonl")

    (answer,) = ask(*flight(evaluation={"max_new_tokens": 1, "data": "asked.jsonl"}))

    assert (answer.where, answer.prompt, answer.columns["tests"]) == ("asked.jsonl:1", "Q: Hi?\nA:", "assert True")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "asked.jsonl: can't be read: No such file"),
        ('{"prompt": ', "asked.jsonl:1: "),
        ('{"colour": "red"}', "asked.jsonl:1: "),
    ],
)
def test_a_file_of_questions_that_cannot_be_used(project, flight, text, reason):
    if text:
        project.text(text, "asked.jsonl")

    with pytest.raises(NotAvailable, match=f"evaluation.data: {reason}"):
        ask(*flight(evaluation={"data": "asked.jsonl"}))

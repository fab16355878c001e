"""Answers in batches against answers alone: real models that mind padding, and real ones that don't."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from preflight.evaluation.batches import PROMPTS, STOPS, TOKENS, TWICE, by_length, compare, said, same, tolerance
from preflight.evaluation.budget import Budget, Sampled
from preflight.evaluation.generate import Reply, answers_of
from preflight.evaluation.questions import questions_of
from preflight.evaluation.trained import Trained
from preflight.findings import NotApplicable


class Unpadded(GPT2LMHeadModel):
    """Learned positions that are counted from the padding on: the mask is used, the positions aren't."""

    def forward(self, *args, position_ids=None, **kwargs):
        return super().forward(*args, **kwargs)


class Unmasked(LlamaForCausalLM):
    """Attends to the padding."""

    def forward(self, *args, attention_mask=None, **kwargs):
        return super().forward(*args, **kwargs)


def gpt2(kind=GPT2LMHeadModel):
    """A small one that is sure of what it says."""
    torch.manual_seed(0)
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "initializer_range": 0.4}
    return kind(GPT2Config(vocab_size=49152, bos_token_id=1, eos_token_id=2, **sizes)).eval()


@pytest.fixture
def repeats(flight):
    """What comes of the model in batches and alone."""

    def found(change=lambda model: model, minutes=10.0, **sections):
        config, trained, split = flight(evaluation={"max_new_tokens": 16}, **sections)
        model = change(trained.model)
        trained = Trained(model, trained.tokenizer, model)
        questions = questions_of(config, trained.tokenizer, split)
        budget = Budget(minutes * 60)
        return compare(config, trained, questions, answers_of(config, trained, questions, budget), budget)

    return found


def llama(kind=LlamaForCausalLM):
    """The same with positions that are rotated."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return kind(LlamaConfig(vocab_size=49152, bos_token_id=1, eos_token_id=2, **sizes, initializer_range=0.4)).eval()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda model: model, id="Llama with an adapter"),
        pytest.param(lambda _: gpt2(), id="GPT-2, whose positions are learned"),
        pytest.param(lambda _: llama(), id="Llama"),
        pytest.param(lambda _: llama().to(torch.bfloat16), id="Llama in bfloat16"),
        pytest.param(lambda _: gpt2().to(torch.float16), id="GPT-2 in float16"),
    ],
)
def test_a_sound_model_is_the_same(repeats, change):
    found = repeats(change)

    assert len(found) == found.wanted == PROMPTS + TWICE
    assert not any(repeat.real for repeat in found)
    assert len({tuple(repeat.alone) for repeat in found}) > 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _: gpt2(Unpadded), id="positions are counted from the padding on"),
        pytest.param(lambda _: llama(Unmasked), id="padding is attended to"),
    ],
)
def test_a_model_that_minds_padding(repeats, change):
    found = [repeat for repeat in repeats(change) if repeat.real]

    assert {repeat.way for repeat in found} == {"in a batch"}
    assert len(found) >= PROMPTS // 2
    assert all(repeat.gap > 0.01 and repeat.first[repeat.at] != repeat.alone[repeat.at] for repeat in found)


def test_a_model_that_draws_at_random(repeats):
    """Dropout that was left on."""
    found = [repeat for repeat in repeats(lambda _: gpt2().train()) if repeat.real]

    assert {repeat.way for repeat in found} == {"in a batch", "at first"}


def test_a_model_that_makes_nothing_of_padding(repeats):
    """Rows whose padding turns them into NaN, which no rounding explains."""

    class Broken(LlamaForCausalLM):
        def forward(self, *args, attention_mask=None, **kwargs):
            out = super().forward(*args, attention_mask=attention_mask, **kwargs)
            padded = attention_mask is not None and attention_mask.shape[0] > 1
            if padded:
                out.logits[attention_mask[:, 0] == 0] = float("nan")
            return out

    assert any(repeat.real for repeat in repeats(lambda _: llama(Broken)))


def test_time_limits_the_prompts(repeats):
    found = repeats(minutes=1e-9)

    assert [repeat.way for repeat in found] == ["in a batch", "at first"]
    assert "in the time of" in found.note


def test_one_prompt_makes_no_batch(project, repeats):
    project.rows([{"prompt": "Q: Hi?\nA:", "completion": " Hello."}], "asked.jsonl")

    with pytest.raises(NotApplicable, match="no batch"):
        repeats(data={"validation": "asked.jsonl"})


def test_batches_of_a_server_are_its_own():
    config = SimpleNamespace(evaluation=SimpleNamespace(server="http://localhost:1"))

    with pytest.raises(NotApplicable, match="its own way"):
        compare(config, None, [], Sampled([], 0), Budget(60))


def test_the_tolerance_follows_the_precision():
    model = torch.nn.Linear(2, 2)

    assert tolerance(model) == 0.01
    assert tolerance(model.to(torch.float16)) == 0.1
    assert tolerance(torch.nn.Sequential(torch.nn.Linear(2, 2), model.to(torch.bfloat16))) == 0.5
    model.is_quantized = True
    assert tolerance(model.float()) == 0.5


def test_an_answer_that_ends_differs_from_one_that_goes_on():
    ended, cut = said(Reply("", [5, 6], True)), said(Reply("", [5, 6, 7], False))

    assert (ended, cut) == ([5, 6, STOPS], [5, 6, 7])
    assert same(ended, cut) == 2
    assert said(Reply("", [5] * 40, True)) == [5] * TOKENS


@given(st.lists(st.integers(1, 400), min_size=1, max_size=70))
def test_prompts_are_chosen_from_the_shortest_to_the_longest(lengths):
    picked = [len(ids) for _, ids in by_length([(None, [0] * length) for length in lengths])]

    assert len(picked) == min(len(lengths), PROMPTS)
    assert picked == sorted(picked)
    assert (picked[0], picked[-1]) == (min(lengths), max(lengths))

"""POST-109: what counts as another answer."""

import pytest

from preflight.checks.validation.batches import an_answer_does_not_depend_on_its_batch as check
from preflight.config import load_config
from preflight.evaluation.batches import STOPS, Repeat
from preflight.evaluation.budget import Sampled
from preflight.model.tokenizer import load_tokenizer

SAID = [*range(100, 116)]


@pytest.fixture
def tokenizer(project):
    return load_tokenizer(load_config(project.write()))


def same(way="in a batch"):
    return Repeat("validation row 0", way, SAID, SAID, 16, 0.0, real=False)


def other(at=4, way="in a batch", *, real=True):
    """An answer that is another one from a token on."""
    first = SAID[:at] + [7] * (16 - at)
    return Repeat("validation row 3", way, first, SAID, at, 2.5 if real else 0.001, real)


@pytest.mark.parametrize(
    "repeats, fires",
    [
        pytest.param([same()] * 8, 0, id="all the same"),
        pytest.param([same()] * 7 + [other(0)], 1, id="one of eight from the start"),
        pytest.param([same()] * 7 + [other(10)], 0, id="the last six tokens of one of eight are 5 %"),
        pytest.param([same()] * 6 + [other(10)] * 2, 2, id="of two"),
        pytest.param([other(0, real=False)] * 8, 0, id="near ties only"),
        pytest.param([other(1, real=False)] * 7 + [other(1)], 1, id="near ties don't hide the others"),
        pytest.param([same()] * 8 + [same("at first"), other(way="at first")], 1, id="asked twice"),
        pytest.param([same()] * 8 + [other(way="at first", real=False)] * 2, 0, id="a near tie asked twice"),
        pytest.param([Repeat("", "in a batch", [STOPS], [STOPS], 1, 0.0, real=False)] * 8, 0, id="nothing said"),
        pytest.param([Repeat("", "in a batch", [STOPS], SAID, 0, 9.0, real=True)] * 8, 8, id="nothing said in a batch"),
        pytest.param([Repeat("", "in a batch", [], [], 0, 0.0, real=False)] * 8, 0, id="nothing to compare"),
    ],
)
def test_what_is_another_answer(judge, tokenizer, repeats, fires):
    assert len(judge(check, tokenizer=tokenizer, batches=Sampled(repeats, len(repeats)))) == fires


def test_what_a_finding_says(judge, tokenizer):
    first, alone = (tokenizer.hf.encode(text) for text in ("The cat is grey.", "The dog is grey."))
    found = Repeat("validation row 3", "in a batch", first, [*alone, STOPS], 1, 2.5, real=True)

    (finding,) = judge(check, tokenizer=tokenizer, batches=Sampled([found], 1))

    assert finding.where == "validation row 3"
    assert finding.message == "the answer is another one in a batch: 'The cat is grey.', alone 'The dog is grey.'"
    assert finding.observed == "token 2 differs, by 2.50 in its logit; 17% of the tokens are the same"


def test_the_adapter_of_a_run_is_the_same_in_batches(flown):
    flown.set(evaluation={"max_new_tokens": 16, "max_examples": 9})

    run = flown.gate("-k", "POST-109", stage="postflight")

    assert run.outcome("POST-109") == "passed", run.screen
    assert run.check("POST-109")["evidence"]["prompts"] == 8
    assert run.check("POST-109")["evidence"]["same_in_batch"] == 1

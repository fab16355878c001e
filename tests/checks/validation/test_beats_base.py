"""POST-105: the tuned model's loss against its base's, on literal losses."""

import pytest

from preflight.checks.validation import beats_base
from preflight.evaluation.loss import HeldOut
from preflight.findings import NotAvailable

NAN = float("nan")
BASE = [2.0, 2.5, 3.0, 1.5, 2.2, 2.8, 1.9, 2.4]


def held_out(gains):
    base = BASE[: len(gains)]
    return HeldOut(base, [loss + gain for loss, gain in zip(base, gains, strict=True)], [10] * len(gains))


@pytest.mark.parametrize(
    "gains",
    [
        pytest.param([-0.5] * 8, id="better by the same everywhere"),
        pytest.param([-0.5, -0.1, -0.9, -0.4, -0.2, -0.7, -0.3, -0.6], id="better everywhere"),
        pytest.param([-0.5, 0.1, -0.9, -0.4, -0.2, -0.7, 0.1, -0.6], id="better on the whole"),
        pytest.param([-0.01] * 8, id="a little better, but for sure"),
    ],
)
def test_better(judge, gains):
    assert judge(beats_base.the_model_beats_its_base_on_held_out_examples, held_out=held_out(gains)) == []


@pytest.mark.parametrize(
    "gains, fix",
    [
        pytest.param([0.0] * 8, "raise training.learning_rate by 2x", id="the base itself"),
        pytest.param([0.3] * 8, "raise training.learning_rate by 2x", id="worse"),
        pytest.param(
            [-3.0, 0.4, 0.4, 0.4, 0.4, 0.3, 0.4, 0.3], "raise training.learning_rate by 2x", id="one lucky example"
        ),
        pytest.param([-0.4, 0.3, -0.5, 0.4, 0.2, -0.3, 0.5, -0.3], "raise training.learning_rate by 2x", id="a draw"),
        pytest.param([NAN] * 8, "Lower training.learning_rate by 2-10x", id="NaN"),
        pytest.param([-0.5] * 7 + [NAN], "Lower training.learning_rate by 2-10x", id="NaN on one"),
    ],
)
def test_not_better(judge, gains, fix):
    (finding,) = judge(beats_base.the_model_beats_its_base_on_held_out_examples, held_out=held_out(gains))

    assert "not better" in finding.message
    assert finding.expected == "below the base's 2.288 by two standard errors"
    assert fix in finding.fix


@pytest.mark.parametrize("count", [0, 1, 7])
def test_too_few_to_tell(judge, count):
    with pytest.raises(NotAvailable, match=r"\d held-out examples? can't be compared: have at least 8"):
        judge(beats_base.the_model_beats_its_base_on_held_out_examples, held_out=held_out([-0.5] * count))

"""POST-117: a run against the accepted one, on literal scores and losses."""

import json
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight import accepted
from preflight.accepted import Loss, Metric
from preflight.checks.validation.not_below_accepted import the_model_is_not_worse_than_the_accepted_one as check
from preflight.config import load_config
from preflight.evaluation.comparison import of_loss, of_metric
from preflight.evaluation.loss import HeldOut
from preflight.findings import NotApplicable, NotAvailable

MANY = [1.0] * 30 + [0.0] * 10


class Scores:
    """What the fixture gives, as far as it is asked for."""

    def __init__(self, *metrics):
        self.metrics = metrics

    def as_json(self):
        return {"metrics": list(self.metrics), "problems": {}}


def score(values, name="accuracy", prefix="p", **changes):
    mean = sum(values) / max(len(values), 1)
    side = {"value": mean, "low": mean - 0.1, "high": mean + 0.1}
    known = {"name": name, "title": name.title(), "higher_is_better": True, "top": 1.0, "mean": True, "n": len(values)}
    examples = {f"{prefix}{number}": value for number, value in enumerate(values)}
    return {**known, "base": side, "tuned": side, "difference": side, "examples": examples, **changes}


def losses(values, tokens=20, prefix="k"):
    keys = [f"{prefix}{number}" for number in range(len(values))]
    return HeldOut([3.0] * len(values), list(values), [tokens] * len(values), len(values), keys)


def asked(scores=None, held_out=None):
    """The request of a check, with fixtures that were made."""
    given = {"scores": scores, "held_out": held_out}

    def value(name):
        if given[name] is None:
            raise NotApplicable("nothing is held out")
        return given[name]

    return SimpleNamespace(getfixturevalue=value)


@pytest.fixture
def compare(project, judge):
    """Judge a run against an accepted one; both are scores and losses. Returns the findings."""

    def findings(before, now, *, demands=None, limits=None, **changes):
        project.set(evaluation={"metrics": demands} if demands else {})
        config = load_config(project.write())
        (project.folder / "run").mkdir(exist_ok=True)
        (project.folder / "run" / "adapter_model.safetensors").write_bytes(b"weights")
        then, losses_then = before
        run = {
            "name": "tiny",
            "accepted": "2026-01-31",
            "by": "Ada",
            "weights": "of another run",
            "versions": {},
            "commit": "1c8a5bd2f7c04a1b",
            "base": accepted.base_of(config),
            "data": accepted.data_of(config),
            "metrics": accepted.metrics_of(then.as_json()) if then else {},
            "held_out": accepted.loss_of(vars(losses_then)) if losses_then else None,
        }
        accepted.write(accepted.Accepted.model_validate({**run, **changes}), accepted.accepted_path(config))
        return judge(check, limits, config=config, request=asked(*now))

    return findings


# --- scores -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before, now, demands",
    [
        pytest.param(MANY, MANY, None, id="the same"),
        pytest.param(MANY, [1.0] * 40, None, id="better"),
        pytest.param(MANY, [0.0] + [1.0] * 28 + [0.0] * 11, None, id="two lost of forty, which may be chance"),
        pytest.param(MANY, [0.0] * 5 + [1.0] * 35, None, id="five lost, ten won"),
        pytest.param([0.8] * 40, [0.79] * 40, None, id="lower for sure, by little"),
        pytest.param(MANY, [0.0] * 4 + MANY[4:], {"accuracy": {"max_drop": 0.1}}, id="a drop that is allowed, just"),
    ],
)
def test_silent(compare, before, now, demands):
    assert compare((Scores(score(before)), None), (Scores(score(now)), None), demands=demands) == []


@pytest.mark.parametrize(
    "before, now, demands, observed, expected",
    [
        pytest.param(
            MANY,
            [0.0] * 15 + [1.0] * 15 + [0.0] * 10,
            None,
            "worse by 0.375, at least 0.2",
            "at most 2% worse",
            id="fell",
        ),
        pytest.param(
            [0.8] * 40, [0.7] * 40, None, "worse by 0.1, at least 0.1 at 95 %", "at most 2% worse", id="each one"
        ),
        pytest.param(
            MANY,
            [0.0] * 2 + MANY[2:],
            {"accuracy": {"max_drop": 0.02}},
            "worse by 0.05",
            "at most 0.02 worse",
            id="little, and less is allowed",
        ),
        pytest.param(
            MANY, MANY[:8] + [0.0] * 32, {"accuracy": {"min": 0.1}}, "worse by 0.55", "at most 2% worse", id="min"
        ),
    ],
)
def test_fires(compare, before, now, demands, observed, expected):
    (found,) = compare((Scores(score(before)), None), (Scores(score(now)), None), demands=demands)

    assert found.message.startswith("Accuracy is worse than that of the accepted run: ")
    assert found.where == "accepted/tiny.json"
    assert found.observed.startswith(observed)
    assert found.observed.endswith("on 40 examples of both")
    assert found.expected == expected
    assert "commit 1c8a5bd2f7c0" in found.fix
    demand = float(re.search(r"accuracy: {max_drop: ([\d.]+)}", found.fix)[1])
    assert (
        compare((Scores(score(before)), None), (Scores(score(now)), None), demands={"accuracy": {"max_drop": demand}})
        == []
    )


def test_where_less_is_better_a_rise_is_a_drop(compare):
    before, now = (score([value] * 20, name="errors", higher_is_better=False, top=None) for value in (1.0, 2.0))

    (found,) = compare((Scores(before), None), (Scores(now), None), demands={"accuracy": None})
    assert found.message == "Errors is worse than that of the accepted run: 2, and it was 1"
    assert compare((Scores(now), None), (Scores(before), None)) == []


def test_words_in_common_may_differ_more(compare):
    before, now = (score([value] * 20, name="rouge_l") for value in (0.50, 0.46))

    assert compare((Scores(before), None), (Scores(now), None)) == []
    assert len(compare((Scores(before), None), (Scores(now), None), limits={"loose_tolerance": 0.05})) == 1


def test_prompts_that_both_have_are_compared(compare):
    """Twenty new prompts that are harder are no drop; a drop on the old ones is one, whatever the new ones give."""
    data = {"asked": "other", "held_out": "other"}
    before = Scores(score(MANY))

    assert compare((before, None), (Scores(score(MANY + [0.0] * 20)), None), data=data) == []
    (found,) = compare((before, None), (Scores(score([0.0] * 40 + [1.0] * 80)), None), data=data)
    assert found.observed.endswith("on 40 examples of both")


@pytest.mark.parametrize("now, count", [(0.75, 0), (0.65, 0), (0.5, 1)])
def test_a_score_that_is_no_mean_is_compared_by_its_interval(compare, now, count):
    before, after = (score([value] * 40, name="f1", mean=False) for value in (0.75, now))

    found = compare((Scores(before), None), (Scores(after), None))
    assert [finding.observed.rpartition(", ")[2] for finding in found] == ["by the intervals of both"] * count


def test_such_a_score_on_other_data_is_not_compared(compare):
    before, now = score([0.75] * 40, name="f1", mean=False), score([0.1] * 40, name="f1", mean=False)
    other = {"asked": "other", "held_out": "other"}

    assert compare((Scores(before, score(MANY)), None), (Scores(now, score(MANY)), None), data=other) == []
    with pytest.raises(NotAvailable, match="is of other held-out data, and can't be compared"):
        compare((Scores(before), None), (Scores(now), None), data=other)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_few_prompts_are_compared_by_their_intervals(compare, count):
    side = {"value": 0.5, "low": None, "high": None}
    before = score([1.0] * count, tuned=side)

    assert compare((Scores(before), None), (Scores(score([0.0] * count, tuned=side)), None)) == []


def test_a_metric_that_only_one_run_has_is_nobodys_drop(compare):
    now = Scores(score([0.0] * 40, name="new"), score(MANY))

    assert compare((Scores(score(MANY), score(MANY, name="gone")), None), (now, None)) == []


# --- the loss ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "now, count",
    [
        pytest.param([2.0] * 20, 0, id="the same"),
        pytest.param([1.5] * 20, 0, id="lower"),
        pytest.param([2.03] * 20, 0, id="1.5 % higher, as another seed makes it"),
        pytest.param([2.2] * 20, 1, id="10 % higher"),
        pytest.param([2.0] * 19 + [4.0], 0, id="one outlier"),
    ],
)
def test_the_held_out_loss(compare, now, count):
    found = compare((None, losses([2.0] * 20)), (None, losses(now)))

    assert len(found) == count
    assert all("delete accepted/tiny.json, and accept this run" in finding.fix for finding in found)


@pytest.mark.parametrize(
    "now",
    [losses([9.0] * 20, prefix="other"), losses([9.0] * 20, tokens=3), losses([9.0] * 7), losses([float("nan")] * 20)],
)
def test_losses_of_other_examples_are_not_compared(compare, now):
    """Cut elsewhere, an example is another one. A loss that is no number has a check of its own."""
    assert compare((Scores(score(MANY)), losses([2.0] * 20)), (Scores(score(MANY)), now)) == []


# --- what can't be judged ---------------------------------------------------------------------------------------------


def test_without_an_accepted_run_there_is_nothing_to_compare(project, judge):
    config = load_config(project.write())

    with pytest.raises(
        NotApplicable, match=r"preflight accept config\.yaml after a green postflight writes accepted/tiny"
    ):
        judge(check, config=config, request=asked())


@pytest.mark.parametrize("text", ["", "{}", "<<<<<<< HEAD", "[1]", json.dumps({"schema": 7}), "\x00"])
def test_a_damaged_file_is_no_accepted_run(project, judge, text):
    (project.folder / "accepted").mkdir()
    project.text(text, "accepted/tiny.json")

    with pytest.raises(NotAvailable, match=r"accepted/tiny\.json can't be read .*take it from git again, or delete it"):
        judge(check, config=load_config(project.write()), request=asked())


def test_a_run_on_another_base_is_not_compared(compare):
    with pytest.raises(NotAvailable, match=r"on another base, larger, and this one is on .*delete it, run pytest"):
        compare((Scores(score(MANY)), None), (Scores(score(MANY)), None), base={"name": "larger", "weights": "other"})


def test_nothing_in_common_can_not_be_judged(compare):
    with pytest.raises(NotAvailable, match="without a score that this run has too"):
        compare((Scores(score(MANY)), None), (Scores(score(MANY, name="other")), None))


def test_the_accepted_run_itself_passes(project, compare):
    (project.folder / "run").mkdir()
    (project.folder / "run" / "adapter_model.safetensors").write_bytes(b"weights")
    weights = accepted.weights_of(load_config(project.write()))

    assert compare((Scores(score(MANY)), None), (Scores(score([0.0] * 40)), None), weights=weights) == []


def test_without_trained_weights_it_says_what_to_run(project, judge, compare):
    compare((Scores(score(MANY)), None), (Scores(score(MANY)), None))
    (project.folder / "run" / "adapter_model.safetensors").unlink()

    with pytest.raises(NotAvailable, match=r"run preflight train config\.yaml"):
        judge(check, config=load_config(project.folder / "config.yaml"), request=asked())


# --- whatever the numbers ---------------------------------------------------------------------------------------------

VALUES = st.lists(st.tuples(*[st.floats(0, 1)] * 2), min_size=8, max_size=30)


@given(VALUES, st.booleans())
def test_what_one_direction_loses_the_other_gains(pairs, up):
    sides = []
    for values in zip(*pairs, strict=True):
        examples = {f"p{number}": value for number, value in enumerate(values)}
        tuned = {"value": sum(values) / len(values)}
        sides.append(Metric(title="x", higher_is_better=up, n=len(values), tuned=tuned, examples=examples))
    there, back = of_metric(*sides, same_data=True), of_metric(*reversed(sides), same_data=True)

    assert there.worse == pytest.approx(-back.worse, abs=1e-9)
    assert there.low <= there.worse + 1e-9
    assert not (there.too_much(None, 0.0) and back.too_much(None, 0.0))
    assert not there.too_much(max(there.allowance, there.worse), 0.0)


@given(st.lists(st.floats(0.01, 10), min_size=0, max_size=20))
def test_a_loss_is_no_worse_than_itself(values):
    loss = Loss(base=1.0, tuned=1.0, examples={f"k{n}": {"loss": value, "tokens": 3} for n, value in enumerate(values)})
    change = of_loss(loss, loss)

    assert (change is None) == (len(values) < 8)
    assert change is None or not change.too_much(None, 0.0)

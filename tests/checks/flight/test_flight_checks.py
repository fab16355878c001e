"""RUN-101 and RUN-102 through the gate, on run logs as a trainer writes them and as a crash leaves them."""

import json

import pytest

BOTH = "RUN-101 or RUN-102"


@pytest.fixture
def logged(project):
    """Write a run.jsonl of these losses, one a step, and judge it."""

    def judged(losses, *, end="", **more):
        steps = [{"step": step, "loss": loss, "grad_norm": 0.5} for step, loss in enumerate(losses, 1)]
        for key, (step, value) in more.items():
            steps.append({"step": step, key: value})
        folder = project.folder / "run"
        folder.mkdir()
        text = "".join(json.dumps(step) + "\n" for step in steps)
        (folder / "run.jsonl").write_text(text + end, encoding="utf-8")
        return project.gate("-k", BOTH, stage="postflight")

    return judged


FALLING = [3.0 - 0.1 * step for step in range(20)]
FLAT = [3.0] * 20
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "losses, more, outcomes",
    [
        pytest.param(FALLING, {}, ("passed", "passed"), id="falling"),
        pytest.param(FALLING, {"end": '{"step": 21, "lo'}, ("passed", "passed"), id="last line cut off"),
        pytest.param(FALLING, {"eval_loss": (20, 1.1)}, ("passed", "passed"), id="with validation"),
        pytest.param(FALLING[:3], {}, ("passed", "not-applicable"), id="three losses are no trend"),
        pytest.param([], {"train_loss": (5, 2.0)}, ("passed", "not-applicable"), id="only the summary at the end"),
        pytest.param([], {"eval_loss": (5, 2.0)}, ("passed", "not-applicable"), id="only validation losses"),
        pytest.param(FLAT, {}, ("passed", "failed"), id="flat"),
        pytest.param(FALLING[::-1], {}, ("passed", "failed"), id="rising"),
        pytest.param([*FALLING, NAN], {}, ("failed", "passed"), id="NaN at the end"),
        pytest.param([3.0, *[NAN] * 19], {}, ("failed", "not-applicable"), id="NaN from the second step on"),
        pytest.param(FALLING, {"eval_loss": (20, INF)}, ("failed", "passed"), id="infinite validation loss"),
        pytest.param([], {"train_loss": (5, NAN)}, ("failed", "not-applicable"), id="NaN in the summary alone"),
        pytest.param([], {}, ("not-available", "not-applicable"), id="an empty log"),
    ],
)
def test_run_log(logged, losses, more, outcomes):
    run = logged(losses, **more)

    assert (run.outcome("RUN-101"), run.outcome("RUN-102")) == outcomes, run.screen
    for finding in [*run.findings("RUN-101"), *run.findings("RUN-102")]:
        assert "step" in finding["where"]
        assert "x" in finding["fix"]
        assert "training.learning_rate" in finding["fix"]


def test_without_a_log_nothing_is_judged(project):
    run = project.gate("-k", BOTH, stage="postflight")

    assert (run.outcome("RUN-101"), run.outcome("RUN-102")) == ("not-available", "not-available")
    assert "preflight train config.yaml" in run.check("RUN-101")["reason"]
    assert run.code == 1


def test_the_threshold_can_be_set(project, logged):
    project.set(gate={"thresholds": {"RUN-102": {"min_drop": 0.6}}})

    assert logged(FALLING).outcome("RUN-102") == "failed"

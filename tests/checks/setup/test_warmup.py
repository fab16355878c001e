"""CFG-106 and CFG-107: warm-up that is missing, ignored, the whole run, or a strange share of it.

The project's 600 examples at batch 4 are a run of 150 steps.
"""

import pytest

from preflight.config import load_config

BOTH = "CFG-106 or CFG-107"


def without_warmup(project):
    del project.config["training"]["warmup_steps"]
    return project


@pytest.mark.parametrize(
    "training, key, message, fix",
    [
        pytest.param(
            {}, "warmup_steps", "there is no warm-up", "training.warmup_steps: 0.03 (here 4 steps)", id="none"
        ),
        pytest.param({"warmup_steps": 0}, "warmup_steps", "there is no warm-up", "0.03 (here 4 steps)", id="zero"),
        pytest.param(
            {"warmup_steps": 150}, "warmup_steps", "150 warm-up steps are the whole run of 150", ": 4.", id="the run"
        ),
        pytest.param(
            {"warmup_steps": 500, "max_steps": 60},
            "warmup_steps",
            "500 warm-up steps are the whole run of 60",
            "Set training.warmup_steps: 2.",
            id="copied from a longer run",
        ),
        pytest.param(
            {"warmup_steps": 0.9999}, "warmup_steps", "are the whole run", "warmup_steps: 4", id="a share of nearly all"
        ),
        pytest.param(
            {"warmup_steps": 10, "lr_scheduler_type": "constant"},
            "lr_scheduler_type",
            "lr_scheduler_type constant ignores warmup_steps",
            "Set lr_scheduler_type: constant_with_warmup.",
            id="constant ignores it",
        ),
        pytest.param(
            {"lr_scheduler_type": "constant"},
            "warmup_steps",
            "there is no warm-up",
            "constant_with_warmup",
            id="constant with none: both must be set",
        ),
        pytest.param(
            {"warmup_steps": 0.05, "max_steps": 1},
            "warmup_steps",
            "a run of 1 step",
            "Train for 2 steps",
            id="one step",
        ),
    ],
)
def test_no_warmup(project, expect, training, key, message, fix):
    without_warmup(project).set(training=training)

    (finding,) = expect("CFG-106", "failed")

    assert message in finding["message"]
    assert fix in finding["fix"]
    assert finding["where"] == load_config(project.folder / "config.yaml").where(f"training.{key}")


@pytest.mark.parametrize(
    "training, steps, share",
    [
        pytest.param({"warmup_steps": 0.03}, 5, "passed", id="the checklist's share"),
        pytest.param({"warmup_steps": 0.1}, 15, "passed", id="a tenth"),
        pytest.param({"warmup_steps": 3}, 3, "passed", id="2 % in steps"),
        pytest.param({"warmup_steps": 2}, 2, "warned", id="below 2 %"),
        pytest.param({"warmup_steps": 16}, 16, "warned", id="above a tenth"),
        pytest.param({"warmup_steps": 149}, 149, "warned", id="all but one step"),
        pytest.param({"warmup_steps": 5.9}, 5, "passed", id="a fraction above 1 counts whole steps"),
        pytest.param({"warmup_ratio": 0.05}, 8, "passed", id="the old name"),
        pytest.param({"warmup_steps": 0.03, "max_steps": 2}, 1, "passed", id="one of two steps: give or take one"),
        pytest.param({"warmup_steps": 0.05, "lr_scheduler_type": "cosine"}, 8, "passed", id="cosine"),
        pytest.param(
            {"warmup_steps": 0.05, "lr_scheduler_type": "constant_with_warmup"}, 8, "passed", id="constant with warm-up"
        ),
    ],
)
def test_warmup(project, training, steps, share):
    without_warmup(project).set(training=training)

    run = project.gate("-k", BOTH)

    assert (run.outcome("CFG-106"), run.outcome("CFG-107")) == ("passed", share), run.screen
    assert run.check("CFG-106")["evidence"]["warmup"] == steps
    for finding in run.findings("CFG-107"):
        assert finding["where"] == load_config(project.folder / "config.yaml").where("training.warmup_steps")
        assert finding["expected"] == "3 to 15 steps"
        assert finding["fix"] == "Set training.warmup_steps: 0.03."


def test_without_warmup_its_share_is_not_applicable(project, expect):
    without_warmup(project)

    expect("CFG-107", "not-applicable")


def test_thresholds_and_strict(project):
    project.set(training={"warmup_steps": 0.2})
    assert project.gate("-k", "CFG-107", "--preflight-strict").outcome("CFG-107") == "failed"

    project.set(gate={"thresholds": {"CFG-107": {"high": 0.2}}})
    assert project.gate("-k", "CFG-107", "--preflight-strict").outcome("CFG-107") == "passed"


def test_the_rate_of_packed_rows(project, expect):
    """Packing makes few rows of many examples: 50 steps of warm-up are the whole run then."""
    project.set(training={"warmup_steps": 50, "packing": True})

    (finding,) = expect("CFG-106", "failed")

    assert "are the whole run" in finding["message"]

"""CFG-111: old names that were accepted are told, and block nothing."""

import pytest

from preflight.config import load_config


@pytest.mark.parametrize(
    "section, old, value, now",
    [
        pytest.param("training", "evaluation_strategy", "epoch", "training.eval_strategy", id="evaluation_strategy"),
        pytest.param("training", "max_seq_length", 256, "training.max_length", id="max_seq_length"),
        pytest.param("training", "warmup_ratio", 0.05, "training.warmup_steps", id="warmup_ratio"),
        pytest.param("lora", "lora_r", 16, "lora.r", id="lora_r"),
    ],
)
def test_an_old_name(project, section, old, value, now):
    project.config[section].pop(now.partition(".")[2], None)
    project.config[section][old] = value

    run = project.gate("-k", "CFG-111", "--preflight-strict")

    (finding,) = run.findings("CFG-111")
    assert (run.outcome("CFG-111"), run.code) == ("warned", 0), run.screen
    assert finding["message"] == f"{section}.{old} is now called {now}"
    assert finding["where"] == load_config(project.folder / "config.yaml").where(now)


def test_present_names(project, expect):
    assert expect("CFG-111", "passed") == []

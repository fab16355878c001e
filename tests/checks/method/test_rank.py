"""CFG-103 and CFG-104: the rank against the task's complexity, on both sides of every boundary."""

import pytest

from preflight.config import load_config

BOTH = "CFG-103 or CFG-104"


@pytest.mark.parametrize(
    "complexity, rank, reason, table, fix",
    [
        pytest.param("simple", 3, "failed", "warned", 8, id="simple: 3 is too low"),
        pytest.param("simple", 4, "passed", "warned", 8, id="simple: 4 is the lowest"),
        pytest.param("simple", 8, "passed", "passed", None, id="simple: 8 is the checklist's"),
        pytest.param("simple", 32, "passed", "warned", 8, id="simple: 32 is the highest"),
        pytest.param("simple", 33, "failed", "warned", 8, id="simple: 33 is too high"),
        pytest.param("standard", 7, "failed", "warned", 16, id="standard: 7 is too low"),
        pytest.param("standard", 8, "passed", "warned", 16, id="standard: 8 is the lowest"),
        pytest.param("standard", 16, "passed", "passed", None, id="standard: 16 is the checklist's"),
        pytest.param("standard", 32, "passed", "passed", None, id="standard: 32 is the checklist's"),
        pytest.param("standard", 64, "passed", "warned", 32, id="standard: 64 is the highest"),
        pytest.param("standard", 65, "failed", "warned", 32, id="standard: 65 is too high"),
        pytest.param("complex", 15, "failed", "warned", 64, id="complex: 15 is too low"),
        pytest.param("complex", 16, "passed", "warned", 64, id="complex: 16 is the lowest"),
        pytest.param("complex", 128, "passed", "passed", None, id="complex: 128 is the checklist's"),
        pytest.param("complex", 256, "passed", "warned", 128, id="complex: 256 is the highest"),
        pytest.param("complex", 257, "failed", "warned", 128, id="complex: 257 is too high"),
        pytest.param("standard", None, "passed", "warned", 16, id="standard: peft's default of 8"),
        pytest.param("complex", None, "failed", "warned", 64, id="complex: peft's default of 8"),
    ],
)
def test_rank(project, complexity, rank, reason, table, fix):
    project.set(task={"complexity": complexity}, lora={"r": rank})
    if rank is None:
        del project.config["lora"]["r"]

    run = project.gate("-k", BOTH)

    assert (run.outcome("CFG-103"), run.outcome("CFG-104")) == (reason, table), run.screen
    for finding in [*run.findings("CFG-103"), *run.findings("CFG-104")]:
        assert finding["where"] == load_config(project.folder / "config.yaml").where("lora.r")
        assert finding["observed"] == str(rank or 8)
        assert finding["fix"] == f"Set lora.r: {fix} and lora.lora_alpha: {2 * fix}."


def test_full_fine_tuning_has_no_rank(project):
    run = project.set(lora=None).gate("-k", BOTH)

    assert (run.outcome("CFG-103"), run.outcome("CFG-104")) == ("not-applicable", "not-applicable")


@pytest.mark.parametrize(
    "arguments, severity, outcome, exit_code",
    [
        pytest.param([], {}, "warned", 0, id="recommended warns"),
        pytest.param(["--preflight-strict"], {}, "failed", 1, id="strict makes it block"),
        pytest.param([], {"CFG-104": "required"}, "failed", 1, id="the config makes it block"),
        pytest.param(["--preflight-strict"], {"CFG-104": "advice"}, "warned", 0, id="strict leaves advice alone"),
    ],
)
def test_severity(project, arguments, severity, outcome, exit_code):
    run = project.set(lora={"r": 64}, gate={"severity": severity}).gate("-k", "CFG-104", *arguments)

    assert run.outcome("CFG-104") == outcome
    assert run.code == exit_code


def test_a_required_check_can_be_lowered(project):
    run = project.set(lora={"r": 512}, gate={"severity": {"CFG-103": "recommended"}}).gate("-k", "CFG-103")

    assert (run.outcome("CFG-103"), run.code) == ("warned", 0)

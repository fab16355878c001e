"""CFG-150: DoRA with dropout."""

import pytest

from preflight.checks.method.dora import dora_runs_without_dropout as check


def test_dora_with_dropout(find):
    (finding,) = find(check, lora={"target_modules": ["q_proj"], "use_dora": True, "lora_dropout": 0.05})

    assert finding.fix == "Set lora.lora_dropout: 0."


@pytest.mark.parametrize("lora", [{"use_dora": True}, {"use_dora": True, "lora_dropout": 0.0}])
def test_dora_without_dropout(find, lora):
    assert find(check, lora={"target_modules": ["q_proj"]} | lora) == []


@pytest.mark.parametrize("lora", [{"lora_dropout": 0.1}, None])
def test_no_dora(find, lora):
    assert find(check, lora=lora) is None

"""RUN-201: the loss before the first step is plausible, and that of the base model."""

import math
from types import SimpleNamespace

import pytest

from preflight.checks.rehearsal.initial_loss import judge, the_first_loss_is_the_base_models_own
from preflight.registry import meta_of

LIMITS = SimpleNamespace(**meta_of(the_first_loss_is_the_base_models_own).thresholds)
CHANCE = math.log(49152)


@pytest.mark.parametrize(
    "fresh, base, text, half, said",
    [
        pytest.param(3.0, 3.0, False, False, None, id="usual"),
        pytest.param(0.3, 0.3, False, False, None, id="easy answers"),
        pytest.param(7.0, 7.0, False, False, None, id="hard answers, for a small model"),
        pytest.param(3.0, None, False, False, None, id="the base was not measured"),
        pytest.param(3.02, 3.0, False, True, None, id="rounding in 16 bits"),
        pytest.param(3.4, 3.0, False, False, "the untrained adapter changes the model", id="another model"),
        pytest.param(2.9, 3.0, False, True, "the untrained adapter changes the model", id="a better one, in 16 bits"),
        pytest.param(0.01, 0.01, False, False, "the first loss is almost zero", id="nothing to learn"),
        pytest.param(10.7, 10.7, False, False, "the first loss is that of guessing", id="guessing"),
        pytest.param(14.0, 14.0, False, False, "the first loss is that of guessing", id="worse than guessing"),
        pytest.param(0.9, 0.9, True, False, None, id="code"),
        pytest.param(5.0, 5.0, True, False, None, id="a foreign language"),
        pytest.param(0.2, 0.2, True, False, "the first loss is almost zero", id="text that is known"),
        pytest.param(7.0, 7.0, True, False, "the first loss is high", id="text that is not"),
    ],
)
def test_what_is_said_of_a_first_loss(fresh, base, text, half, said):
    findings = judge(fresh, base, CHANCE, LIMITS, text=text, half=half)

    assert [finding.message.partition(":")[0] for finding in findings] == ([said] if said else [])


def test_a_random_model_guesses(rehearsed, verdict, split):
    (finding,) = verdict(the_first_loss_is_the_base_models_own, rehearsed(), train=split(3))

    assert finding.message == "the first loss is that of guessing: 10.78"
    assert finding.expected == "below 9.7; guessing is 10.8"


def test_an_adapter_that_does_not_start_at_zero_is_found(project, rehearsed, verdict, split):
    project.set(lora={"init_lora_weights": False, "lora_alpha": 128})
    (finding,) = verdict(the_first_loss_is_the_base_models_own, rehearsed(), train=split(3))

    assert finding.message.startswith("the untrained adapter changes the model")
    assert finding.fix == "Set lora.init_lora_weights: true, so that B starts at zero."


def test_a_loss_that_is_no_number_is_left_to_another_check(verdict, sound, split):
    assert verdict(the_first_loss_is_the_base_models_own, sound(fresh=math.nan), train=split(3)) is None
    assert verdict(the_first_loss_is_the_base_models_own, sound(), train=split(3)) == []
    assert verdict(the_first_loss_is_the_base_models_own, sound(fresh=9.9, base=9.9), train=split(3)) != []

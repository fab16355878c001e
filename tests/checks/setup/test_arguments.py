"""CFG-128 arguments-in-reason, CFG-129 qlora-optimizer, CFG-130 schedule-decays, CFG-131 logging."""

import pytest

NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}


@pytest.mark.parametrize(
    ("training", "count"),
    [
        ({}, 0),
        ({"weight_decay": 0.1, "adam_beta2": 0.95, "max_grad_norm": 1.0, "neftune_noise_alpha": 5}, 0),
        ({"max_grad_norm": 0.3}, 0),  # QLoRA's authors
        ({"weight_decay": 1.0}, 1),
        ({"adam_beta1": 0.1, "adam_beta2": 0.1}, 2),
        ({"max_grad_norm": 0.0}, 1),
        ({"neftune_noise_alpha": 150}, 1),
        ({"label_smoothing_factor": 0.5}, 1),
        ({"adam_epsilon": 1.0}, 1),
    ],
)
def test_arguments_are_in_reason(project, expect, training, count):
    project.set(training=training)

    assert len(expect("CFG-128", "warned" if count else "passed")) == count


@pytest.mark.parametrize(
    ("quantization", "optim", "outcome"),
    [
        (NF4, "adamw_torch_fused", "warned"),
        (NF4, None, "warned"),
        (NF4, "paged_adamw_8bit", "passed"),
        (NF4, "adamw_8bit", "passed"),
        (NF4, "lion_8bit", "passed"),
        (None, "adamw_torch_fused", "not-applicable"),
    ],
)
def test_quantized_runs_page_their_optimizer(project, expect, quantization, optim, outcome):
    if quantization:
        project.set(quantization=quantization)
    if optim:
        project.set(training={"optim": optim})

    expect("CFG-129", outcome)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("cosine", "passed"), ("linear", "passed"), ("constant_with_warmup", "warned"), ("cosine_with_min_lr", "passed")],
)
def test_the_rate_decays(project, expect, name, outcome):
    project.set(training={"lr_scheduler_type": name})

    expect("CFG-130", outcome)


@pytest.mark.parametrize(
    ("training", "outcome", "fix"),
    [
        ({"logging_steps": 10}, "passed", ""),
        ({"logging_steps": 500}, "warned", "training.logging_steps: 7"),  # of 150
        ({"logging_strategy": "no"}, "warned", "logging_steps"),
        ({"logging_strategy": "epoch", "logging_steps": 500}, "passed", ""),
        ({"logging_nan_inf_filter": True}, "warned", "Remove"),
        ({"logging_nan_inf_filter": False}, "passed", ""),
    ],
)
def test_the_loss_is_logged(project, expect, training, outcome, fix):
    project.set(training=training)

    findings = expect("CFG-131", outcome)

    assert all(fix in finding["fix"] for finding in findings)

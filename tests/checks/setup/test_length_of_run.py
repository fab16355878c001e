"""CFG-117 any-steps, CFG-118 enough-steps, CFG-119 epochs. The project has 600 rows."""

import pytest

TWO_CARDS = {"gpu": "A100", "memory_gib": 80, "count": 2}


@pytest.mark.parametrize(
    ("training", "outcome"),
    [
        ({"dataloader_drop_last": True, "per_device_train_batch_size": 1000}, "failed"),
        ({"dataloader_drop_last": True, "per_device_train_batch_size": 600}, "passed"),
        ({"per_device_train_batch_size": 1000}, "passed"),
        ({}, "passed"),
    ],
)
def test_a_run_has_a_step(project, expect, training, outcome):
    project.set(training=training)

    expect("CFG-117", outcome)


@pytest.mark.parametrize(
    ("hardware", "training", "outcome", "fix"),
    [
        ({}, {}, "passed", ""),  # 150 steps
        ({}, {"gradient_accumulation_steps": 16}, "warned", "training.gradient_accumulation_steps: 5."),
        ({}, {"gradient_accumulation_steps": 5}, "passed", ""),
        ({}, {"per_device_train_batch_size": 32}, "warned", "training.num_train_epochs: 2"),
        ({}, {"per_device_train_batch_size": 32, "num_train_epochs": 2}, "passed", ""),
        ({}, {"max_steps": 4}, "not-applicable", ""),
        (TWO_CARDS, {"gradient_accumulation_steps": 4}, "warned", "training.gradient_accumulation_steps: 2."),
    ],
)
def test_a_run_has_steps_enough(project, expect, hardware, training, outcome, fix):
    project.set(training=training)
    if hardware:
        project.set(hardware=hardware)

    findings = expect("CFG-118", outcome)

    assert all(fix in finding["fix"] for finding in findings)


@pytest.mark.parametrize(
    ("training", "outcome", "fix"),
    [
        ({"num_train_epochs": 3}, "passed", ""),
        ({"num_train_epochs": 4}, "passed", ""),  # a third of published recipes
        ({"num_train_epochs": 8}, "warned", "training.num_train_epochs: 3"),
        ({"max_steps": 1500}, "warned", "training.max_steps: 450"),
        ({"max_steps": 300}, "passed", ""),
    ],
)
def test_data_is_not_seen_too_often(project, expect, training, outcome, fix):
    project.set(training=training)

    findings = expect("CFG-119", outcome)

    assert all(fix in finding["fix"] for finding in findings)

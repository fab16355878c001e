"""CFG-123 saving, CFG-124 evaluating, CFG-125 best-model."""

import pytest

BEST = {"load_best_model_at_end": True, "eval_strategy": "epoch", "save_strategy": "epoch"}
STEPS = {**BEST, "eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 10, "save_steps": 20}


@pytest.mark.parametrize(("strategy", "outcome"), [("no", "warned"), ("epoch", "passed"), ("steps", "passed")])
def test_checkpoints_are_saved(project, expect, strategy, outcome):
    project.set(training={"save_strategy": strategy})

    expect("CFG-123", outcome)


@pytest.mark.parametrize(
    ("data", "strategy", "outcome"),
    [
        ({}, "no", "warned"),
        ({}, "epoch", "passed"),
        ({}, "steps", "passed"),
        ({"validation": None, "validation_split": 0.1}, "no", "warned"),
        ({"validation": None}, "no", "not-applicable"),
    ],
)
def test_validation_data_is_used(project, expect, data, strategy, outcome):
    project.set(data=data, training={"eval_strategy": strategy})

    expect("CFG-124", outcome)


@pytest.mark.parametrize(
    ("training", "outcome", "fix"),
    [
        (BEST, "passed", ""),
        (STEPS, "passed", ""),
        ({**BEST, "eval_strategy": "no"}, "failed", "training.eval_strategy: epoch"),
        ({**BEST, "save_strategy": "steps"}, "failed", "training.save_strategy: epoch"),
        ({**STEPS, "save_steps": 15}, "failed", "training.save_steps: 10"),
        ({**BEST, "save_strategy": "best", "eval_strategy": "steps", "eval_steps": 7}, "passed", ""),
        ({**BEST, "metric_for_best_model": "eval_mean_token_accuracy"}, "passed", ""),
        ({**BEST, "metric_for_best_model": "rouge"}, "failed", "eval_loss"),
        ({"lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "no"}, "failed", "eval_strategy: steps"),
        ({}, "passed", ""),
        ({"load_best_model_at_end": False}, "not-applicable", ""),
        ({"eval_strategy": "no"}, "not-applicable", ""),
    ],
)
def test_what_is_best_can_be_told(project, expect, training, outcome, fix):
    project.set(training=training)

    findings = expect("CFG-125", outcome)

    assert all(fix in finding["fix"] for finding in findings)


def test_without_validation_data_nothing_is_best(project, expect):
    project.set(data={"validation": None}, training=BEST)
    (finding,) = expect("CFG-125", "failed")

    assert "validation_split" in finding["fix"]


def test_the_metrics_are_those_that_the_trainer_reports(project, tiny):
    """An evaluation by TRL itself, of two rows."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from preflight.checks.setup.evaluating import METRICS

    rows = Dataset.from_list([{"input_ids": [1, 5, 6, 2], "labels": [-100, 5, 6, 2]}] * 2)
    arguments = SFTConfig(
        output_dir=str(project.folder / "out"),
        use_cpu=True,
        bf16=False,
        report_to="none",
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
    )
    trainer = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(tiny),
        arguments,
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(tiny),
    )
    reported = {name.removeprefix("eval_") for name in trainer.evaluate()}

    assert set(METRICS) <= reported | {"num_tokens"}
    assert {"loss", "mean_token_accuracy", "entropy"} <= reported

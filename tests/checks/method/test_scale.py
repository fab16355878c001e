"""CFG-113 alpha-fits-rank, CFG-114 effective-rate, CFG-115 dropout; and that published recipes pass all of them."""

from itertools import product

import pytest


@pytest.mark.parametrize(
    ("rank", "alpha", "rslora", "outcome", "fix"),
    [
        (16, 32, False, "passed", ""),
        (32, 16, False, "passed", ""),  # half of published recipes
        (16, 64, False, "passed", ""),
        (64, 16, False, "passed", ""),
        (16, 512, False, "warned", "lora.lora_alpha: 32."),
        (64, 8, False, "warned", "lora.lora_alpha: 128."),
        (64, 128, True, "warned", "lora.lora_alpha: 16."),  # plain LoRA's alpha: a scale of 16
        (64, 16, True, "passed", ""),
        (16, 32, True, "passed", ""),  # a scale of 8
        (256, 256, True, "warned", "lora.lora_alpha: 32."),
    ],
)
def test_alpha_fits_the_rank(project, expect, rank, alpha, rslora, outcome, fix):
    project.set(lora={"r": rank, "lora_alpha": alpha, "use_rslora": rslora})

    findings = expect("CFG-113", outcome)

    assert all(finding["fix"].endswith(fix) for finding in findings)


@pytest.mark.parametrize(
    ("rate", "rank", "alpha", "outcome", "fix"),
    [
        (2e-4, 16, 32, "passed", ""),
        (1e-4, 64, 16, "passed", ""),
        (5e-4, 16, 64, "passed", ""),
        (5e-4, 16, 128, "warned", "training.learning_rate: 2.5e-04"),
        (2e-3, 16, 32, "warned", "training.learning_rate: 1.0e-03"),
        (1e-5, 16, 4, "warned", "training.learning_rate: 4.0e-05"),
    ],
)
def test_the_rate_times_the_scale_is_usual(project, expect, rate, rank, alpha, outcome, fix):
    project.set(lora={"r": rank, "lora_alpha": alpha}, training={"learning_rate": rate})

    findings = expect("CFG-114", outcome)

    assert all(fix in finding["fix"] for finding in findings)


@pytest.mark.parametrize(("dropout", "outcome"), [(0.0, "passed"), (0.05, "passed"), (0.15, "passed"), (0.5, "warned")])
def test_dropout_is_moderate(project, expect, dropout, outcome):
    project.set(lora={"lora_dropout": dropout})

    expect("CFG-115", outcome)


def test_full_fine_tuning_has_none_of_them(project):
    run = project.set(lora=None).gate("-k", "CFG-113 or CFG-114 or CFG-115")

    assert {run.outcome(code) for code in ("CFG-113", "CFG-114", "CFG-115")} == {"not-applicable"}


RECIPES = [
    (rate, rank, rank * share, dropout)
    for (rate, rank, share, dropout) in product((1e-4, 2e-4), (8, 16, 32), (0.5, 2), (0, 0.05))
]


@pytest.mark.parametrize(("rate", "rank", "alpha", "dropout"), RECIPES[::3])
def test_published_recipes_are_not_stopped(project, rate, rank, alpha, dropout):
    """What axolotl's and LLaMA-Factory's examples set nearly always, with all the rest of a recipe."""
    project.set(
        lora={"r": rank, "lora_alpha": int(alpha), "lora_dropout": dropout},
        training={
            "learning_rate": rate,
            "warmup_steps": 0.1,
            "lr_scheduler_type": "cosine",
            "num_train_epochs": 4,
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 4,
            "optim": "adamw_torch_fused",
            "packing": False,
        },
    )
    run = project.gate("-k", "CFG")
    outcomes = {check["code"]: check["outcome"] for check in run.report["checks"] if check["outcome"] != "not-run"}

    assert "failed" not in outcomes.values(), run.screen
    assert {code for code, outcome in outcomes.items() if outcome == "warned"} <= {"CFG-104"}  # rank 8, standard task

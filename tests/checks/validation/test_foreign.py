"""A run that plain TRL did, judged with a small config written by hand: no preflight, no run log and no run card."""

import json
import shutil

import pytest

from preflight import subjects
from preflight.config import load_config
from preflight.report import screen
from tests.conftest import chat

LORA = {"r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"]}
ROWS = [chat(number, answer="Ask the shop.") for number in range(64)]


@pytest.fixture(scope="session")
def trl_run(tiny, tmp_path_factory):
    """The output folder of a run of TRL's trainer, as TRL leaves it."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    folder = tmp_path_factory.mktemp("trl") / "run"
    settings = {"max_steps": 24, "logging_steps": 1, "save_steps": 12, "eval_steps": 12, "learning_rate": 2e-2}
    arguments = SFTConfig(
        str(folder),
        **settings,
        per_device_train_batch_size=4,
        eval_strategy="steps",
        bf16=False,
        use_cpu=True,
        report_to="none",
        model_init_kwargs={"dtype": "float32"},
        load_best_model_at_end=True,
    )
    trainer = SFTTrainer(
        str(tiny),
        arguments,
        train_dataset=Dataset.from_list(ROWS[:48]),
        eval_dataset=Dataset.from_list(ROWS[48:]),
        peft_config=LoraConfig(**LORA, task_type="CAUSAL_LM"),
    )
    trainer.train()
    trainer.save_model()
    return folder


@pytest.fixture
def elsewhere(project, trl_run):
    """A project whose config says little, with the folder that TRL left."""
    project.config.clear()
    project.set(
        name="elsewhere-1.0",
        task={"type": "style-transfer"},
        model={"name_or_path": "none", "dtype": "float32"},
        data={"train": "train.jsonl", "validation": "validation.jsonl"},
        lora=dict(LORA),
        training={"output_dir": "run"},
        evaluation={"max_new_tokens": 8},
    )
    project.rows(ROWS[:48])
    project.rows(ROWS[48:], "validation.jsonl")
    shutil.copytree(trl_run, project.folder / "run")
    named = json.loads((trl_run / "adapter_config.json").read_text())["base_model_name_or_path"]
    project.set(model={"name_or_path": named})
    return project


def test_a_run_of_trl_is_judged_whole(elsewhere):
    run = elsewhere.gate(stage="postflight")

    outcomes = {check["code"]: check["outcome"] for check in run.report["checks"]}
    assert not {"error", "not-available", "not-run"} & set(outcomes.values()), run.screen
    judged = ("RUN-101", "RUN-104", "RUN-106", "RUN-108", "POST-101", "POST-102", "POST-105")
    own = ("POST-120", "POST-121", "POST-122", "POST-123", "POST-124", "POST-126", "POST-127")
    assert {code: outcomes[code] for code in (*judged, *own)} == dict.fromkeys((*judged, *own), "passed"), run.screen
    for code in ("RUN-107", "RUN-109", "RUN-114", "RUN-120", "RUN-121", "RUN-122", "RUN-123", "RUN-124"):
        assert outcomes[code] == "not-applicable", run.screen
    assert outcomes["POST-106"] == outcomes["POST-125"] == "not-applicable"
    assert "trained elsewhere" in run.check("POST-106")["reason"]


def test_the_best_is_asked_for_where_the_config_says_so(elsewhere):
    elsewhere.set(training={"load_best_model_at_end": True, "eval_strategy": "steps", "save_strategy": "steps"})

    run = elsewhere.gate("-k", "POST-125", stage="postflight")

    assert run.outcome("POST-125") == "passed", run.screen
    assert run.check("POST-125")["evidence"]["tensors"] == 8


def test_what_another_program_says_of_its_run_is_shown(elsewhere, capsys):
    """`preflight report`: the curve and the monitors, and no call to train or to clear what is trained already."""
    elsewhere.set(gate={"thresholds": {"RUN-102": {"min_drop": 0.005}}})  # this one learns little in 24 steps
    elsewhere.gate("-k", "POST-101", stage="postflight")
    capsys.readouterr()

    screen.show(elsewhere.folder / "config.yaml")

    shown = capsys.readouterr().out
    assert "training loss" in shown
    assert "pytest --postflight" in shown
    assert "preflight train" not in shown.partition("next")[2]
    assert "pictures" in json.loads((elsewhere.folder / "run" / "postflight" / "report.json").read_text())


def test_a_folder_without_any_state(elsewhere):
    """As Unsloth's save_pretrained leaves it: the log is not there, the tokenizer is missing."""
    run = elsewhere.folder / "run"
    for checkpoint in run.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "training_args.bin"):
        (run / name).unlink()

    judged = elsewhere.gate("-k", "RUN or POST-101 or POST-106 or POST-122 or POST-127", stage="postflight")

    assert judged.outcome("RUN-101") == judged.outcome("RUN-108") == "not-applicable", judged.screen
    assert "trainer_state.json" in judged.check("RUN-101")["reason"]
    assert [found["message"] for found in judged.findings("POST-101")] == [
        "tokenizer.json is missing",
        "tokenizer_config.json is missing",
    ]
    assert "save_pretrained(folder)" in judged.findings("POST-101")[0]["fix"]
    assert judged.outcome("POST-122") == "not-available"
    assert judged.outcome("POST-127") == "passed"


def test_a_config_of_another_run(elsewhere):
    elsewhere.set(lora={"r": 16})

    run = elsewhere.gate("-k", "POST-120", stage="postflight")

    (finding,) = run.findings("POST-120")
    assert (finding["observed"], finding["expected"]) == ("r: 8", "r: 16")


def test_a_clearance_binds_what_was_trained_and_its_log(elsewhere):
    config = load_config(elsewhere.write())

    bound = [one["name"] for one in subjects.bind(config, "postflight") if one["annotations"].get("kind") == "trained"]

    assert bound == [
        "run/adapter_config.json",
        "run/adapter_model.safetensors",
        "run/tokenizer.json",
        "run/tokenizer_config.json",
        "run/chat_template.jinja",
        "run/checkpoint-24/trainer_state.json",
    ]

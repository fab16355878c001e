"""The trainer on the tiny model: it feeds what was prepared, twice the same, by every method, and only when cleared."""

import json
import shutil

import pytest


@pytest.fixture
def train(project, monkeypatch):
    """Clear the project and train it in this process; returns the exit code."""
    from preflight.trainer import recheck
    from preflight.trainer.run import main

    monkeypatch.setattr(recheck, "start", lambda config: None)  # seconds each; test_recheck.py is about it

    def clear_and_train(*, clear: bool = True) -> int:
        return main([str(project.clear() if clear else project.write())])

    return clear_and_train


def losses(project):
    lines = (project.folder / "run" / "run.jsonl").read_text().splitlines()
    return [entry["loss"] for entry in map(json.loads, lines) if "loss" in entry]


def test_the_trainers_own_batches_are_the_prepared_rows(project):
    """Token by token and label by label, through TRL's own dataloader and collator."""
    from preflight.config import load_config
    from preflight.data import store
    from preflight.model import build

    config = load_config(project.set(training={"max_steps": 4, "seed": 7, "eval_strategy": "no"}).clear())
    data = store.open_prepared(store.folder_of(config))

    trainer = build.make_trainer(config, build.training_arguments(config), data.train.dataset)

    fed = []
    for batch in trainer.get_train_dataloader():
        for ids, labels, mask in zip(batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True):
            length = int(mask.sum())
            assert (labels[length:] == -100).all()
            fed.append((tuple(ids[:length].tolist()), tuple(labels[:length].tolist())))
    prepared = [(tuple(row["input_ids"]), tuple(row["labels"])) for row in data.train.examples]
    assert sorted(fed) == sorted(prepared)
    assert len(fed) == 600


def test_the_same_seed_gives_the_same_losses(project, train):
    project.set(training={"max_steps": 5})
    assert train() == 0
    first = losses(project)
    shutil.rmtree(project.folder / "run")

    assert train() == 0
    assert losses(project) == first
    assert len(first) == 5


def test_it_saves_adapter_tokenizer_and_run_card(project, train):
    project.set(training={"max_steps": 3})

    assert train() == 0
    run = project.folder / "run"
    for name in ("adapter_model.safetensors", "tokenizer.json", "chat_template.jinja", "run-card.md", "run.jsonl"):
        assert (run / name).is_file(), name
    assert not list(run.glob("*.bin"))
    card = json.loads((run / "run-card.json").read_text())
    assert card["seed"] == 42
    assert card["config"]["training"]["max_steps"] == 3
    assert card["effective_training"]["dataset_kwargs"] == {"skip_prepare_dataset": True}
    assert [step for step, _ in card["loss"]] == [1, 2, 3]


QLORA = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float32"}


@pytest.mark.parametrize(
    "sections",
    [
        pytest.param({"lora": {"use_rslora": True}}, id="rslora"),
        pytest.param({"lora": {"use_dora": True}}, id="dora"),
        pytest.param({"quantization": QLORA}, id="qlora"),
        pytest.param({"quantization": QLORA, "lora": {"use_dora": True}}, id="qdora"),
        pytest.param({"lora": None, "training": {"learning_rate": 5e-5}}, id="full"),
        pytest.param({"training": {"packing": True, "attn": None}}, id="packing"),
        pytest.param({"training": {"gradient_checkpointing": True}}, id="checkpointing"),
    ],
)
def test_every_method_trains(project, train, sections):
    sections.get("training", {}).pop("attn", None)
    project.set(**sections).set(training={"max_steps": 3})

    assert train() == 0
    assert len(losses(project)) == 3


def test_without_a_clearance_nothing_is_trained(project, train, capsys):
    assert train(clear=False) == 3
    assert "no preflight clearance" in capsys.readouterr().err
    assert not (project.folder / "run" / "run.jsonl").exists()


def test_a_changed_row_is_refused_in_words(project, train, capsys):
    project.set(training={"max_steps": 3})
    assert train() == 0
    data = project.folder / "train.jsonl"
    data.write_text(data.read_text() + data.read_text().splitlines()[0] + "\n")

    assert train(clear=False) == 3
    assert "train.jsonl changed: 600 rows when cleared, 601 now" in capsys.readouterr().err


def test_a_config_that_cant_be_read_exits_4(tmp_path, capsys):
    from preflight.trainer.run import main

    assert main([str(tmp_path / "none.yaml")]) == 4
    assert "Traceback" not in capsys.readouterr().err


def test_an_interrupted_run_goes_on_and_ends_as_if_it_had_not_been(project, train, monkeypatch, capsys):
    """SIGTERM in the middle of step 3 of 6: a checkpoint is saved, and the rest gives the same losses."""
    import os
    import signal

    from preflight.trainer import callbacks

    project.set(training={"max_steps": 6, "save_strategy": "steps", "save_steps": 100})
    assert train() == 0
    whole = losses(project)
    shutil.rmtree(project.folder / "run")

    def interrupt(self, args, state, control, **_):
        if state.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(callbacks.Progress, "on_step_begin", interrupt, raising=False)
    assert train() == 1
    assert "stopped by SIGTERM at step 3" in capsys.readouterr().err
    assert losses(project) == whole[:3]
    assert not (project.folder / "run" / "adapter_model.safetensors").exists()

    monkeypatch.undo()
    assert train(clear=False) == 0
    assert "resuming from checkpoint-3" in capsys.readouterr().err
    assert losses(project) == pytest.approx(whole, rel=1e-5)


def test_a_checkpoint_that_did_not_get_into_the_model_stops_the_run(project, fly, monkeypatch):
    """peft leaves out, with no more than a warning, what it finds no place for."""
    import os
    import signal

    from transformers import Trainer, TrainerCallback

    from preflight.model.build import BuildError

    class Interrupts(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            if state.global_step == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    project.set(training={"max_steps": 6, "eval_strategy": "no"})
    assert fly(lambda trainer: trainer.add_callback(Interrupts())).code == 1
    monkeypatch.setattr(Trainer, "_load_from_checkpoint", lambda *_: None)

    with pytest.raises(BuildError, match=r"checkpoint-3 was loaded, and 16 tensors of the model differ from it"):
        fly()

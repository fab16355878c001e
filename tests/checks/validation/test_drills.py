"""Faults planted in real runs of the embedded model: the postflight turns red for each, and stays green on a sound one.

With `--junitxml` the file says what fired in each; docs/postflight.md has the table.
"""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

pytestmark = pytest.mark.drill

EXAMPLE = Path(__file__).parents[3] / "examples" / "smollm2"
WEIGHTS = "adapter_model.safetensors"
BLOCKS = ("failed", "error", "not-available")
STOP, START, AND = 2, 1, 284  # <|im_end|>, <|im_start|> and " and" of the embedded model's tokenizer


def relabelled(token):
    """Where the answer ends, another token is learned."""

    def plant(trainer):
        collate = trainer.data_collator

        def changed(rows):
            batch = collate(rows)
            batch["labels"][batch["labels"] == STOP] = token
            return batch

        trainer.data_collator = changed

    return plant


def cut_data(project):
    """Twenty rows, over and over."""
    rows = (project.folder / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:20]
    project.text("\n".join(rows) + "\n", "data/train.jsonl")


SHORT = {"learning_rate": 1e-3, "max_steps": 40, "load_best_model_at_end": False}
RUNS = {
    "sound": ({}, None, None),
    "never stops": (SHORT, None, relabelled(AND)),
    "goes on with a turn": (SHORT, None, relabelled(START)),
    "overfitted": ({"learning_rate": 3e-3, "max_steps": 50, "load_best_model_at_end": False}, cut_data, None),
    "ruined": (
        {"learning_rate": 2e-2, "warmup_steps": 0, "max_steps": 20, "load_best_model_at_end": False},
        None,
        None,
    ),
}


@pytest.fixture(scope="session")
def flown(smollm2, open_project, tmp_path_factory):
    """`flown(name)`: a copy of the project after the run of that name, which is made once."""
    kept: dict[str, Path] = {}

    def made(name: str):
        if name not in kept:
            kept[name] = fly(tmp_path_factory.mktemp("run"), smollm2, open_project, *RUNS[name])
        folder = tmp_path_factory.mktemp("copy") / "project"
        shutil.copytree(kept[name], folder, symlinks=True)
        return open_project(folder)

    return made


def fly(folder, smollm2, open_project, training, data, plant) -> Path:
    """The example, trained without a gate that would not let it through."""
    from preflight.config import load_config
    from preflight.data.prepare import prepare
    from preflight.model import build
    from preflight.model.tokenizer import load_tokenizer
    from preflight.trainer import monitors, run

    folder /= "project"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("model", "runs"))
    (folder / "model").symlink_to(smollm2)
    project = open_project(folder)
    project.set(
        name="tarnwick-triage-1.0",
        training={"output_dir": "run", **training},
        evaluation={"max_examples": 8, "max_minutes": 1.5},
    )
    if data:
        data(project)
    config = load_config(project.write())
    prepare(config, load_tokenizer(config))
    patched = pytest.MonkeyPatch()
    with patched.context() as patch:
        whole = build.make_trainer

        def planted(*arguments, **more):
            trainer = whole(*arguments, **more)
            if plant:
                plant(trainer)
            return trainer

        patch.setattr(build, "make_trainer", planted)
        hangs = {"RUN-124": monitors.monitors_of(config)["RUN-124"]}
        patch.setattr(monitors, "monitors_of", lambda _: hangs)  # nothing else stops it
        run.quiet_libraries()
        assert run.train(config, {"subject": []}) == 0
    return folder


def zeroed(project, run):
    weights = load_file(run / WEIGHTS)
    save_file({name: value * (0 if "lora_B" in name else 1) for name, value in weights.items()}, run / WEIGHTS)


def empty(project, run):
    save_file({}, run / WEIGHTS)


def headless(project, run):
    """As a class without a head names its modules."""
    weights = load_file(run / WEIGHTS)
    save_file({name.replace(".model.model.", ".model."): value for name, value in weights.items()}, run / WEIGHTS)


def another_stop(project, run):
    """What serves it stops at the end of a document only."""
    settings = json.loads((run / "tokenizer_config.json").read_text())
    (run / "tokenizer_config.json").write_text(json.dumps({**settings, "eos_token": "<|endoftext|>"}))
    (run / "generation_config.json").write_text('{"eos_token_id": 0}')


def damaged(project, run):
    whole = (run / WEIGHTS).read_bytes()
    (run / WEIGHTS).write_bytes(whole[: len(whole) // 2])


def of_another_base(project, run):
    """The base that the config names has other weights than the one that was trained on."""
    other = project.folder / "other"
    shutil.copytree((project.folder / "model").resolve(), other)
    weights = load_file(other / "model.safetensors")
    last = "model.layers.29.mlp.down_proj.weight"
    save_file({**weights, last: weights[last] * 3}, other / "model.safetensors", metadata={"format": "pt"})
    project.set(model={"name_or_path": "./other"})


def another_rank(project, run):
    project.set(lora={"r": 8})


def without_tokenizer(project, run):
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (run / file).unlink()


def another_template(project, run):
    template = run / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_start|>", "<|turn|>"), encoding="utf-8")


def pickled(project, run):
    """As an old trainer saves it."""
    import torch

    torch.save(load_file(run / WEIGHTS), run / "adapter_model.bin")
    (run / WEIGHTS).unlink()


def the_last_not_the_best(project, run):
    """The best checkpoint is another than what lies in the output folder."""
    weights = load_file(run / WEIGHTS)
    save_file({name: value * 1.01 for name, value in weights.items()}, run / WEIGHTS)


def without_a_run_card(project, run):
    (run / "run-card.json").unlink()


def with_a_spike_of_nan(project, run):
    with (run / "run.jsonl").open("a") as stream:
        stream.write(json.dumps({"step": 65, "loss": float("nan"), "grad_norm": float("nan")}) + "\n")


def untouched(project, run):
    pass


DRILLS = [
    pytest.param("sound", zeroed, {"POST-102", "POST-121"}, id="zeroed adapter"),
    pytest.param("sound", empty, {"POST-102", "POST-120"}, id="empty adapter"),
    pytest.param("sound", headless, {"POST-102"}, id="keys of another class"),
    pytest.param("sound", another_stop, {"POST-122", "POST-127"}, id="another stop token"),
    pytest.param("sound", damaged, {"POST-102"}, id="damaged file"),
    pytest.param("sound", of_another_base, {"POST-106", "POST-123"}, id="another base"),
    pytest.param("sound", another_rank, {"POST-106", "POST-120"}, id="another rank"),
    pytest.param("sound", without_tokenizer, {"POST-101"}, id="no tokenizer"),
    pytest.param("sound", another_template, {"POST-122"}, id="another template"),
    pytest.param("sound", pickled, {"POST-101", "POST-126"}, id="pickled weights"),
    pytest.param("sound", the_last_not_the_best, {"POST-125"}, id="not the best checkpoint"),
    pytest.param("sound", without_a_run_card, {"POST-101"}, id="no run card"),
    pytest.param("sound", with_a_spike_of_nan, {"RUN-101"}, id="NaN in the log"),
    pytest.param("never stops", untouched, {"POST-104"}, id="never stops"),
    pytest.param("goes on with a turn", untouched, {"POST-108"}, id="goes on with a turn"),
    pytest.param("overfitted", untouched, {"POST-112"}, id="overfitted"),
    pytest.param("ruined", untouched, {"POST-105", "POST-112"}, id="rate far too high"),
]


@pytest.mark.parametrize(("name", "plant", "codes"), DRILLS)
def test_the_postflight_finds(flown, record_property, name, plant, codes):
    project = flown(name)
    plant(project, project.folder / "run")

    run = project.gate(stage="postflight")

    fired = {check["code"]: check["outcome"] for check in run.report["checks"] if check["outcome"] in BLOCKS}
    record_property("fired", f"{', '.join(fired)} in {run.report['seconds']:.0f} s")
    assert run.code == 1, run.screen
    assert run.report["verdict"] == "red", run.screen
    assert codes <= fired.keys(), run.screen
    assert "error" not in fired.values(), run.screen


def test_a_sound_run_is_green(flown, record_property):
    run = flown("sound").gate(stage="postflight")

    record_property("fired", f"nothing in {run.report['seconds']:.0f} s")
    assert run.code == 0, run.screen
    assert run.report["verdict"] == "green"
    assert [check["code"] for check in run.report["checks"] if check["outcome"] == "warned"] == [], run.screen

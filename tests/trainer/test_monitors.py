"""What becomes of a run when a monitor fires: stopped with what is worth keeping, or warned once."""

import os
import subprocess
import sys

from safetensors.torch import load_file
from transformers import TrainerCallback


def at_step(number, do):
    """A callback that does something when a step begins."""

    class Planted(TrainerCallback):
        def on_step_begin(self, args, state, control, model=None, **_):
            if state.global_step == number:
                do(model)

    return lambda trainer: trainer.add_callback(Planted())


def poison(model):
    """One trained weight becomes NaN."""
    next(p for name, p in model.named_parameters() if p.requires_grad).data.view(-1)[0] = float("nan")


def test_a_required_monitor_stops_the_run_with_a_checkpoint_that_is_sound(project, fly):
    project.set(training={"max_steps": 8, "save_strategy": "steps", "save_steps": 1, "eval_strategy": "no"})

    flight = fly(at_step(4, poison))

    assert flight.code == 5
    assert flight.fired["RUN-101"] == "failed"
    assert "stopped at step 5 of 8: RUN-101 losses-finite" in flight.screen
    assert "  step 5: loss is nan at step 5" in flight.screen
    assert "fix: Lower training.learning_rate by 2-10x, to between 2e-05 and 0.0001" in flight.screen
    assert "checkpoint-4 is kept; later weights are not finite, and were not saved" in flight.screen
    assert "report: " in flight.screen
    assert "next: change " in flight.screen
    saved = sorted(path.name for path in flight.folder.glob("checkpoint-*"))
    assert saved == ["checkpoint-1", "checkpoint-2", "checkpoint-3", "checkpoint-4"]
    assert not (flight.folder / "adapter_model.safetensors").exists()


def test_a_monitor_that_stops_sound_weights_saves_them(project, fly):
    project.set(
        training={"max_steps": 60, "save_strategy": "no", "eval_strategy": "no", "learning_rate": 1e-12},
        gate={"thresholds": {"RUN-102": {"min_steps": 10}}},
    )
    project.rows(
        [{"messages": row} for row in [[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]] * 40]
    )

    flight = fly()

    assert flight.code == 5
    assert flight.fired["RUN-102"] == "failed"
    (checkpoint,) = flight.folder.glob("checkpoint-*")
    assert load_file(checkpoint / "adapter_model.safetensors")
    assert f"{checkpoint.name} is kept" in flight.screen


def test_what_a_monitor_found_is_said_even_if_no_checkpoint_can_be_written(project, fly):
    """The optimizer holds other parameters: nothing moves, and its state can't be saved."""
    project.set(training={"max_steps": 20, "save_strategy": "no", "eval_strategy": "no"})

    class Replaces(TrainerCallback):
        def on_step_begin(self, args, state, control, optimizer=None, **_):
            if state.global_step == 3:
                for group in getattr(optimizer, "optimizer", optimizer).param_groups:
                    group["params"] = [one.detach().clone().requires_grad_() for one in group["params"]]

    flight = fly(lambda trainer: trainer.add_callback(Replaces()))

    assert flight.code == 5
    assert "can't be written" in flight.screen
    assert "RUN-108 weights-move" in flight.screen
    assert "no checkpoint was written before" in flight.screen


def test_what_blocks_at_the_very_end_keeps_the_model(project, fly):
    project.set(training={"max_steps": 24, "eval_strategy": "no", "learning_rate": 1e-12, "warmup_steps": 0})

    flight = fly()

    assert flight.code == 5
    assert "trained, but RUN-102 loss-falls" in flight.screen
    assert (flight.folder / "adapter_model.safetensors").is_file()
    assert (flight.folder / "run-card.json").is_file()


def test_a_recommended_monitor_warns_once(project, fly):
    project.set(training={"max_steps": 12, "eval_strategy": "no"})

    flight = fly()

    assert flight.code == 0, flight.screen
    assert flight.fired == {"RUN-103": "warned"}  # random weights guess
    assert flight.screen.count("RUN-103 first-loss warned") == 1
    assert "RUN-103 warned; saved" in flight.screen


def test_a_run_that_no_monitor_minds_says_so(project, fly):
    project.set(
        training={"max_steps": 12, "eval_strategy": "no"}, gate={"thresholds": {"RUN-103": {"max_of_chance": 1.1}}}
    )

    flight = fly()

    assert (flight.code, flight.fired) == (0, {})
    assert "monitors ok; saved" in flight.screen


def test_a_monitor_of_the_users_own_stops_the_run(project, fly):
    body = """
from preflight import Finding, check, report_findings

@check("USER-001", "ours", severity="required", section=5, item="Ours")
def ours(run_log):
    if len(run_log.curve("loss")) == 3:
        report_findings([Finding("three is enough")])
"""
    project.text(body, "mine.py")
    project.set(training={"max_steps": 8, "eval_strategy": "no"}, gate={"checks": ["mine.py"]})

    flight = fly()

    assert flight.code == 5
    assert "stopped at step 3 of 8: USER-001 ours" in flight.screen
    assert "three is enough" in flight.screen


HANGS = """
import sys, time
from preflight.config import load_config
from preflight.data.prepare import prepare
from preflight.model.tokenizer import load_tokenizer
from preflight.trainer import gauge, run

class Hangs(gauge.Trainer):
    def get_batch_samples(self, *arguments, **more):
        if self.state.global_step == 3:
            time.sleep(1000)
        return super().get_batch_samples(*arguments, **more)

gauge.Trainer = Hangs
config = load_config("config.yaml")
prepare(config, load_tokenizer(config))
run.quiet_libraries()
sys.exit(run.train(config, {"subject": []}))
"""


def test_a_loader_that_hangs_ends_the_run(project):
    project.set(
        training={"max_steps": 8, "save_strategy": "steps", "save_steps": 1, "eval_strategy": "no"},
        gate={"thresholds": {"RUN-124": {"min_seconds": 2, "times": 3}}},
    )
    project.write()
    project.text(HANGS, "hangs.py")

    done = subprocess.run(
        [sys.executable, "hangs.py"],
        cwd=project.folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 5, done.stderr
    assert "RUN-124 steps-keep-coming" in done.stderr
    assert "get_batch_samples" in done.stderr
    assert (project.folder / "run" / "checkpoint-3" / "trainer_state.json").is_file()
    assert (project.folder / "run" / "flight" / "report.html").is_file()
    assert "stalled" in (project.folder / "run" / "run.jsonl").read_text()

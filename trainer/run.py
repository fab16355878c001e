"""One training run, read top to bottom: verify, load, attach, train, save, record.

Exit codes: 0 trained; 1 stopped or failed; 3 no valid clearance; 4 the config can't be read; 5 stopped by a monitor.
"""

import argparse
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preflight import clearance
from preflight.clearance import Refused
from preflight.config import Config, ConfigError, load_config
from preflight.data import store
from preflight.findings import NotAvailable
from preflight.flight.plan import plan_of
from preflight.model import build

from . import card, checkpoints, launch, overrides, recheck

STOPPED = 5  # by a monitor

if TYPE_CHECKING:
    from .monitors import Monitors
    from .stopping import Stop


def main(argv: list[str] | None = None) -> int:
    """Train the run of one config and return the exit code."""
    parser = argparse.ArgumentParser(prog="preflight train", description="Train what was cleared.")
    parser.add_argument("config", type=Path, help="the config that `pytest --preflight` cleared")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help=f"free to change: {', '.join(overrides.FREE)}")
    arguments = parser.parse_args(argv)
    try:
        config = load_config(arguments.config)
        otherwise = overrides.parse(config, arguments.settings)
        statement = clearance.verify(config, "preflight")
        spread = launch.agrees(config)
        pass_on_this_machine(config)
        if spread:
            say(spread)
        return train(config, statement, otherwise)
    except ConfigError as error:
        return fail(4, str(error))
    except Refused as error:
        return fail(3, f"refused: {error}")
    except (NotAvailable, OSError) as error:
        return fail(1, f"can't train: {error}")


def train(config: Config, statement: dict[str, Any], otherwise: Mapping[str, Any] | None = None) -> int:
    """Train on the prepared data of a verified clearance.

    Args:
        config: The run's config.
        statement: Its clearance.
        otherwise: Settings from the command line, which change nothing of what was cleared.

    Raises:
        build.BuildError: the model can't be loaded, or TRL refuses the settings on this machine.
        OSError: the output folder can't be written to, or the disk is full.
    """
    from .callbacks import Progress, RunLog
    from .gauge import Gauge, Trainer
    from .monitors import Monitors
    from .stopping import Stop

    started = datetime.now(UTC)
    data = store.open_prepared(store.folder_of(config))
    arguments = build.training_arguments(config, otherwise)
    resume = go_on(config, clearance.identity(statement), arguments.world_size)
    say(f"resuming from {resume.name}" if resume else f"training {config.name} on {data.train.rows} cleared examples")

    held_out = data.validation.dataset if data.validation and data.validation.rows else None
    trainer = build.make_trainer(config, arguments, data.train.dataset, held_out, kind=Trainer)
    gauge, stop, log = Gauge(), Stop(), RunLog(config.output_dir / "run.jsonl", resume)
    monitors = Monitors(config, plan_of(config), log, stop)
    trainer.watch(gauge)
    watchdog = [monitors.watchdog()] if is_main_process() else []
    for callback in (log, monitors, Progress(lambda: monitors.verdict), stop, *watchdog):
        trainer.add_callback(callback)
    optimizer = str(config.training_value("optim"))
    if optimizer.startswith("paged") and arguments.use_cpu:
        say(f"{optimizer}: there is no card to page from, and bitsandbytes runs it unpaged")
    take_steps(trainer, resume, stop)
    step = trainer.state.global_step
    blocked = any(stop.agreed(bool(stop.monitor)))
    if blocked and (stop.broken or step < trainer.state.max_steps):
        return stopped_by_monitor(config, monitors, stop, step)
    if stop.signal is not None:
        say(f"stopped by {stop.signal.name} at step {step}, checkpoint saved; `preflight train` resumes from there")
        return 1

    trainer.save_model(str(config.output_dir))
    if is_main_process():
        (config.output_dir / "training_args.bin").unlink(missing_ok=True)  # a pickle, and nothing reads it
        best = trainer.state.best_global_step if arguments.load_best_model_at_end else None
        if best:
            log.add({"step": best, "best": trainer.state.best_metric})
        monitors.write_report()
        card.write(config, data, statement, arguments, log.log, started=started, monitors=monitors.cards())
        checkpoints.finish(config.output_dir)
        which = f", step {best} of {step}: the best on the validation data" if best else ""
        say(f"{monitors.verdict}; saved {os.path.relpath(config.output_dir)}{which}")
        if blocked:  # at the very end: what was trained is whole, and kept
            say(f"\ntrained, but {monitors.blocking()}")
    return STOPPED if blocked else 0


def go_on(config: Config, identity: str, processes: int) -> Path | None:
    """Make the output folder this run's, and choose the checkpoint that all processes go on from."""
    from accelerate.utils import broadcast_object_list

    resume: Path | None = None
    if is_main_process():
        checkpoints.claim(config.output_dir, identity, processes)
        resume, passed = checkpoints.go_on(config.output_dir)
        for one in passed:
            say(str(one))
    agreed: list[Path | None] = broadcast_object_list([resume])
    return agreed[0]


def take_steps(trainer: Any, resume: Path | None, stop: "Stop") -> None:
    """Train to the end, or to where the run is stopped."""
    from .stopping import Interrupted

    try:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    except Interrupted:
        trainer._save_checkpoint(trainer.model, None)
    except checkpoints.NotWritten as error:
        if stop.monitor is None:
            raise
        say(str(error))  # what the monitor found is why the run ends


def stopped_by_monitor(config: Config, monitors: "Monitors", stop: "Stop", step: int) -> int:
    """Say on one screen what happened, what is kept, and what to change."""
    if is_main_process():
        monitors.write_report()
        last = checkpoints.last_whole(config.output_dir)
        kept = f"{last.name} is kept" if last else "no checkpoint was written before"
        if stop.broken:
            kept += "; later weights are not finite, and were not saved"
        name = os.path.relpath(config.path)
        say(f"\nstopped at step {step} of {monitors.plan.steps}: {monitors.blocking()}")
        say(f"  {kept}\n  report: {os.path.relpath(config.artefacts('flight') / 'report.html')}")
        say(f"  next: change {name}, `pytest --preflight {name}`, `preflight train {name}`")
    return STOPPED


def pass_on_this_machine(config: Config) -> None:
    """Judge once more what depends on the machine, while this process imports what it will train with.

    Raises:
        Refused: this machine does not pass.
    """
    asked = recheck.start(config) if is_main_process() else None
    quiet_libraries()
    importlib.import_module("trl.trainer.sft_trainer")  # the slowest of them
    if asked:
        say(recheck.finish(config, asked))


def is_main_process() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def say(text: str) -> None:
    """One line for the person at the terminal, from the main process only."""
    if is_main_process():
        print(text, file=sys.stderr, flush=True)


def fail(code: int, text: str) -> int:
    """Say why this process ends. Every process says it: the launcher ends the others before they can."""
    print(text, file=sys.stderr, flush=True)
    return code


def quiet_libraries() -> None:
    """Keep what the user can do nothing about off the screen: the run's own lines are what matters."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # CPU kernels it could download; it works without
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers|trl")
    warnings.filterwarnings("ignore", message="Paged optimizers are not supported on CPU")  # said in words of our own
    import datasets
    import transformers

    transformers.utils.logging.set_verbosity_warning()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()

"""One training run, read top to bottom: verify, load, attach, train, save, record.

Exit codes: 0 trained; 1 stopped or failed; 3 no valid clearance; 4 the config can't be read.
"""

import argparse
import importlib
import logging
import os
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from preflight import clearance
from preflight.clearance import Refused
from preflight.config import Config, ConfigError, load_config
from preflight.data import store
from preflight.findings import NotAvailable
from preflight.model import build

from . import card, checkpoints, recheck


def main(argv: list[str] | None = None) -> int:
    """Train the run of one config and return the exit code."""
    parser = argparse.ArgumentParser(prog="preflight train", description="Train what was cleared.")
    parser.add_argument("config", type=Path, help="the config that `pytest --preflight` cleared")
    arguments = parser.parse_args(argv)
    try:
        config = load_config(arguments.config)
        statement = clearance.verify(config, "preflight")
        pass_on_this_machine(config)
        return train(config, statement)
    except ConfigError as error:
        return fail(4, str(error))
    except Refused as error:
        return fail(3, f"refused: {error}")
    except (NotAvailable, OSError) as error:
        return fail(1, f"can't train: {error}")


def train(config: Config, statement: dict[str, Any]) -> int:
    """Train on the prepared data of a verified clearance.

    Raises:
        build.BuildError: the model can't be loaded, or TRL refuses the settings on this machine.
        OSError: the output folder can't be written to, or the disk is full.
    """
    from .callbacks import Progress, RunLog, StopOnSignal

    started = datetime.now(UTC)
    identity = clearance.identity(statement)
    data = store.open_prepared(store.folder_of(config))
    arguments = build.training_arguments(config)
    if is_main_process():
        checkpoints.claim(config.output_dir, identity)
    with arguments.main_process_first(local=False, desc="output folder"):
        resume = checkpoints.last_whole(config.output_dir)
    say(f"resuming from {resume.name}" if resume else f"training {config.name} on {data.train.rows} cleared examples")

    stop = StopOnSignal()
    held_out = data.validation.dataset if data.validation and data.validation.rows else None
    trainer = build.make_trainer(config, arguments, data.train.dataset, held_out)
    for callback in (RunLog(config.output_dir / "run.jsonl", resume), Progress(), stop):
        trainer.add_callback(callback)
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    if stop.signal is not None:
        step = trainer.state.global_step
        say(f"stopped by {stop.signal.name} at step {step}, checkpoint saved; `preflight train` resumes from there")
        return 1

    trainer.save_model(str(config.output_dir))
    if is_main_process():
        (config.output_dir / "training_args.bin").unlink(missing_ok=True)  # a pickle, and nothing reads it
        history = trainer.state.log_history
        card.write(config, data, identity=identity, seed=arguments.seed, history=history, started=started)
        checkpoints.finish(config.output_dir)
        say(f"saved {os.path.relpath(config.output_dir)}")
    return 0


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
    import datasets
    import transformers

    transformers.utils.logging.set_verbosity_warning()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()

"""The rehearsal itself, in a process of its own: the run's model and trainer, a few steps, and what came of them."""

import gc
import itertools
import resource
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from preflight import machine
from preflight.config import Config, load_config
from preflight.data import store
from preflight.model import build
from preflight.rehearsal import score
from preflight.rehearsal.facts import Checkpoint, Kind, Memory, write
from preflight.rehearsal.watch import Watch

# The longest batch comes second: by then the optimizer's state is there, and takes its share of memory. By the third
# step gradients have reached the A matrices too, for B is zero before the first.
PLAN: list[Kind] = ["typical", "longest", "typical", "typical"]
SCALING = 8  # more of them in fp16, whose loss scaler skips steps until it has found its scale
# What a rehearsal does otherwise than the run: no warm-up, nothing sent anywhere, one evaluation, one checkpoint.
OTHERWISE: Mapping[str, Any] = {
    "num_train_epochs": 1,
    "lr_scheduler_type": "constant",
    "lr_scheduler_kwargs": None,
    "warmup_steps": 0,
    "train_sampling_strategy": "sequential",
    "logging_strategy": "steps",
    "logging_steps": 1,
    "save_strategy": "steps",
    "save_total_limit": None,
    "eval_strategy": "no",
    "eval_on_start": False,
    "load_best_model_at_end": False,
    "resume_from_checkpoint": None,
    "report_to": "none",
    "push_to_hub": False,
    "auto_find_batch_size": False,
    "torch_compile": False,
    "torch_compile_backend": None,
    "torch_compile_mode": None,
    "dataloader_num_workers": 0,
    "dataloader_prefetch_factor": None,
    "dataloader_persistent_workers": False,
    "disable_tqdm": True,
}


class Play:
    """One rehearsal: what it was asked to do, and what is known so far."""

    def __init__(self, job: Mapping[str, Any], path: Path) -> None:
        """Make one.

        Args:
            job: What `plan.job` made.
            path: Where the facts go.
        """
        self.path = path
        self.began = time.perf_counter()
        self.facts: dict[str, Any] = dict(job["facts"])
        self.config = load_config(Path(job["config"])).with_artefacts(job["artefacts"])
        self.data = store.open_prepared(Path(job["prepared"]))
        self.short: int | None = job["short"]
        self.held_out: list[int] = job["held_out"]

    def note(self, **facts: Any) -> None:
        """Write down what is known: this process may be killed at any time."""
        self.facts |= facts | {"seconds": round(time.perf_counter() - self.began, 2)}
        write(self.facts, self.path)

    def at(self, phase: str) -> None:
        self.note(phase=phase)

    def fail(self, kind: str, error: BaseException) -> None:
        self.note(failure={"kind": kind, "message": build.short(error)})

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The prepared rows of a batch."""
        fed = self.data.train.dataset.with_format(None)
        return [fed[row] for row in self.facts[name]["rows"]]


def play(job: Mapping[str, Any], path: Path) -> None:
    """Rehearse, and write down the facts.

    Args:
        job: What `plan.job` made.
        path: Where the facts go.
    """
    this = Play(job, path)
    folder = Path(tempfile.mkdtemp(prefix=".rehearsal-", dir=path.parent))
    try:
        _rehearse(this, folder)
        this.note(phase="done")
    except torch.OutOfMemoryError as error:
        this.fail("memory", error)
    except MemoryError as error:
        this.fail("memory", error)
    except RuntimeError as error:
        from accelerate.utils.memory import should_reduce_batch_size

        this.fail("memory" if should_reduce_batch_size(error) else "error", error)
        raise
    except Exception as error:
        this.fail("error", error)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rehearse(this: Play, folder: Path) -> None:
    config = this.config
    this.at("loading the model")
    arguments = settings(config, folder)
    plan = [*PLAN, *["typical"] * (arguments.max_steps - len(PLAN))]
    fed = this.data.train.dataset
    batches = [this.facts[kind]["rows"] for kind in plan for _ in range(arguments.gradient_accumulation_steps)]
    rows = fed.select(list(itertools.chain.from_iterable(batches)))
    evaluated = this.data.validation.dataset.select(this.held_out) if this.held_out and this.data.validation else None
    trainer = build.make_trainer(config, arguments, rows, evaluated)
    watch = Watch(trainer, plan, this.at)
    trainer.add_callback(Before(this, trainer))
    trainer.add_callback(watch)
    this.at("preparing the first step")
    trainer.train()
    typical = this.rows("typical")
    this.note(
        steps=[asdict(step) for step in watch.steps],
        parameters=asdict(watch.parameters()),
        memory=asdict(peak_memory()),
        after=loss_of(trainer, typical),
    )
    if evaluated is not None:
        this.at("evaluating")
        this.note(evaluation=trainer.evaluate()["eval_loss"])

    this.at("looking at the checkpoint")
    saved = folder / f"checkpoint-{trainer.state.global_step}"
    optimizer = saved / "optimizer.pt"
    if optimizer.is_file():
        trainer.optimizer.load_state_dict(torch.load(optimizer, map_location="cpu", weights_only=True))
    trained = score.log_probabilities(trainer.model, typical, arguments)
    device = trainer.model.device
    placed = trainer.place_model_on_device
    trainer.accelerator.free_memory()
    for callback in (Before, Watch):
        trainer.remove_callback(callback)
    del trainer, watch
    release()

    this.at("loading the base model again")
    base = build.load_base(config)
    if placed and not getattr(base, "is_quantized", False):
        base = base.to(device)
    alone = score.log_probabilities(base, typical, arguments)
    this.note(base=float(-alone.mean()))
    this.at("loading the checkpoint")
    if config.lora is None:
        del base
        release()
        loaded = build.load_adapter(config, saved).to(device)
    else:
        loaded = build.load_adapter(config, saved, base)
    again = score.log_probabilities(loaded, typical, arguments)
    size = sum(file.stat().st_size for file in saved.iterdir())
    this.note(
        checkpoint=asdict(
            Checkpoint(
                size=size,
                optimizer=optimizer.is_file(),
                difference=score.difference(trained, again),
                effect=score.difference(trained, alone),
            )
        )
    )


def settings(config: Config, folder: Path) -> Any:
    """The run's effective `SFTConfig`, for a few steps.

    Raises:
        build.BuildError: TRL refuses the run's settings on this machine.
    """
    steps = len(PLAN) + (SCALING if config.training_value("fp16") else 0)
    more = {
        "output_dir": str(folder),
        "max_steps": steps,
        "save_steps": steps,
        # The second micro batch of a step finds the gradients of the first in memory.
        "gradient_accumulation_steps": min(config.training_value("gradient_accumulation_steps"), 2),
    }
    build.training_arguments(config)  # as they are
    return build.training_arguments(config, {**OTHERWISE, **more})


class Before(TrainerCallback):  # type: ignore[misc]
    """Looks at the model once it is prepared and before it is trained."""

    def __init__(self, this: Play, trainer: Any) -> None:
        self.this = this
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        this, trainer = self.this, self.trainer
        typical = this.rows("typical")
        this.at("measuring the first loss")
        fresh = score.log_probabilities(trainer.model, typical, args)
        this.note(fresh=float(-fresh.mean()), before=loss_of(trainer, typical), device=str(args.device), half=half(trainer))
        if this.short is None:
            return
        short = this.data.train.dataset.with_format(None)[this.short]
        pair = [typical[0], short]
        this.at("comparing a padded row with the same alone")
        this.note(padding=score.beside(trainer.model, short, trainer.data_collator(pair), args))
        if args.gradient_accumulation_steps > 1 and this.config.lora is not None and not trainer.aux_loss_enabled:
            this.at("comparing accumulated gradients")
            this.note(summed=accumulated(trainer, pair))


def half(trainer: Any) -> bool:
    """Whether anything is computed in 16 bits."""
    types = {parameter.dtype for parameter in trainer.model.parameters() if parameter.is_floating_point()}
    quantized = getattr(trainer.model, "is_quantized", False)  # what it computes in, nearly always is
    return bool(trainer.args.bf16 or trainer.args.fp16 or quantized or types & {torch.bfloat16, torch.float16})


def loss_of(trainer: Any, rows: list[dict[str, Any]]) -> float:
    """The trainer's own loss on these rows, without dropout."""
    trainer.model.eval()
    inputs = trainer._prepare_inputs(trainer.data_collator(rows))
    with torch.no_grad():
        return float(trainer.compute_loss(trainer.model_wrapped, inputs))


def accumulated(trainer: Any, rows: list[dict[str, Any]]) -> float:
    """Relative difference of gradients: rows at once, and one after the other in as many micro batches."""

    def gradients(batches: list[list[dict[str, Any]]]) -> torch.Tensor:
        collated = iter([trainer.data_collator(batch) for batch in batches])
        samples, items = trainer.get_batch_samples(collated, len(batches), trainer.args.device)
        trainer.current_gradient_accumulation_steps = len(samples)
        for sample in samples:
            trainer.training_step(trainer.model_wrapped, sample, items)
        found = [p.grad.detach().float().flatten().cpu() for p in trainer.model.parameters() if p.grad is not None]
        trainer.model.zero_grad()
        return torch.cat(found)

    dropouts = [module for module in trainer.model.modules() if isinstance(module, torch.nn.Dropout)]
    shares = [module.p for module in dropouts]
    for module in dropouts:
        module.p = 0.0
    try:
        at_once, in_turn = gradients([rows]), gradients([[row] for row in rows])
    finally:
        for module, share in zip(dropouts, shares, strict=True):
            module.p = share
    return float((at_once - in_turn).norm() / at_once.norm().clamp(min=1e-30))


def peak_memory() -> Memory:
    """Peak memory of this process so far."""
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if torch.cuda.is_available():
        allocated, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
        return Memory(resident, allocated, reserved, torch.cuda.get_device_properties(0).total_memory)
    return Memory(resident, None, None, machine.memory().total)


def release() -> None:
    """Give back what nothing holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def first_to_go() -> None:
    """Let the kernel end this process before the gate when the host runs out of memory."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")

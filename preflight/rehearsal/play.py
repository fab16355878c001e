"""The rehearsal itself, in a process of its own: the run's model and trainer, a few steps, and what came of them."""

import gc
import itertools
import resource
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate.utils.memory import should_reduce_batch_size
from transformers import TrainerCallback

from preflight import machine
from preflight.config import Config, load_config
from preflight.data import store
from preflight.model import build
from preflight.rehearsal import score
from preflight.rehearsal.facts import Kind, Memory, write
from preflight.rehearsal.reload import OPTIMIZER, compare, remember
from preflight.rehearsal.score import Row
from preflight.rehearsal.watch import Watch

# The longest batch comes second: by then the optimizer's state is there, and takes its share of memory. Gradients reach
# the A matrices from the second step on, for B is zero before the first.
PLAN: Sequence[Kind] = ("typical", "longest", "typical", "typical")
SCALING: Sequence[Kind] = ("typical",) * 8  # more of them in fp16, whose loss scaler skips steps until it has its scale
# What a rehearsal does otherwise than the run: no warm-up, nothing sent anywhere, one checkpoint.
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


T = TypeVar("T")


class Notes:
    """The facts so far, on disk after each change: this process may be killed at any time."""

    def __init__(self, facts: Mapping[str, Any], path: Path) -> None:
        self.facts = dict(facts)
        self.path = path
        self.began = time.perf_counter()

    def note(self, **facts: Any) -> None:
        """Write down what is known."""
        self.facts |= facts | {"seconds": round(time.perf_counter() - self.began, 2)}
        write(self.facts, self.path)

    def at(self, phase: str) -> None:
        """Write down what is being done."""
        self.note(phase=phase)

    def look(self, phase: str, at: Callable[..., T], *arguments: Any) -> T | None:
        """Look at something that the run itself does not look at: where that fails, the run may well not.

        Raises:
            AdapterError: what was saved does not load.
        """
        self.at(phase)
        try:
            return at(*arguments)
        except build.AdapterError:
            raise
        except Exception:
            traceback.print_exc()
            return None


def play(job: Mapping[str, Any], path: Path, folder: Path) -> None:
    """Rehearse, and write down the facts, the failure among them.

    Args:
        job: What `supervise` asks for: facts to start from, config, artefacts, prepared, short, held_out.
        path: Where the facts go.
        folder: Where the checkpoint goes.
    """
    notes = Notes(job["facts"], path)
    try:
        _rehearse(job, notes, folder)
        notes.at("done")
    except Exception as error:
        notes.note(failure={"kind": kind_of(error), "message": build.short(error)})
        raise


def kind_of(error: Exception) -> str:
    """What kind of failure an error is: running out of memory, on a card or on the host, or any other."""
    ran_out = isinstance(error, MemoryError | torch.OutOfMemoryError) or should_reduce_batch_size(error)
    return "memory" if ran_out else "error"


def _rehearse(job: Mapping[str, Any], notes: Notes, folder: Path) -> None:
    notes.at("loading the model")
    config = load_config(Path(job["config"])).with_artefacts(job["artefacts"])
    data = store.open_prepared(Path(job["prepared"]))
    fed = data.train.dataset
    plan = [*PLAN, *(SCALING if config.training_value("fp16") else ())]
    arguments = settings(config, folder, len(plan))
    batches = [notes.facts[kind]["rows"] for kind in plan for _ in range(arguments.gradient_accumulation_steps)]
    held_out = data.validation.dataset.select(job["held_out"]) if data.validation and job["held_out"] else None
    trainer = build.make_trainer(config, arguments, fed.select(list(itertools.chain(*batches))), held_out)
    typical = [fed[row] for row in notes.facts["typical"]["rows"]]
    watch = Watch(trainer, plan, notes.at)
    trainer.add_callback(Before(trainer, notes, typical, None if job["short"] is None else fed[job["short"]]))
    trainer.add_callback(watch)

    notes.at("preparing the first step")
    trainer.train()
    notes.note(
        steps=[asdict(step) for step in watch.steps],
        accumulation=arguments.gradient_accumulation_steps,
        parameters=asdict(watch.parameters()),
        memory=asdict(peak_memory()),
    )
    if held_out is not None:
        notes.at("evaluating")
        notes.note(evaluation=trainer.evaluate()["eval_loss"])

    notes.at("loading the optimizer's state")
    saved = folder / f"checkpoint-{trainer.state.global_step}"
    if (saved / OPTIMIZER).is_file():
        trainer.optimizer.load_state_dict(torch.load(saved / OPTIMIZER, map_location="cpu", weights_only=True))
    scored = partial(score.log_probabilities, rows=typical, arguments=arguments)
    trained = notes.look("measuring the last loss", remember, trainer.model, scored)
    if trained is None:
        return
    notes.note(trained=float(-trained.scores.mean()))
    trainer.accelerator.free_memory()
    del trainer, watch
    release()
    if found := notes.look("loading the checkpoint", compare, config, saved, trained, scored):
        notes.note(base=found[0], checkpoint=asdict(found[1]))


def settings(config: Config, folder: Path, steps: int) -> Any:
    """The run's effective `SFTConfig`, for a few steps.

    Raises:
        build.BuildError: TRL refuses the run's settings on this machine.
    """
    build.training_arguments(config)  # as they are: what is refused must not be among what is replaced
    # The second micro batch of a step finds the gradients of the first in memory.
    micro = min(config.training_value("gradient_accumulation_steps"), 2)
    few = {"output_dir": str(folder), "max_steps": steps, "save_steps": steps, "gradient_accumulation_steps": micro}
    return build.training_arguments(config, {**OTHERWISE, **few})


class Before(TrainerCallback):  # type: ignore[misc]
    """Looks at the model once the trainer has prepared it, before the first step."""

    def __init__(self, trainer: Any, notes: Notes, typical: Sequence[Row], short: Any) -> None:
        self.trainer = trainer
        self.notes = notes
        self.typical = typical
        self.short = short

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.notes.note(device=str(args.device), half=in_half(self.trainer))
        self.notes.look("measuring the first loss", self.first_loss)
        if self.short is not None and args.per_device_train_batch_size > 1:
            self.notes.look("comparing a padded row with the same alone", self.padding)
        # A mixture's balancing loss is a mean over a micro batch, and all gradients twice are too much without adapter.
        adapter = hasattr(self.trainer.model, "peft_config") and not self.trainer.aux_loss_enabled
        if self.short is not None and args.gradient_accumulation_steps > 1 and adapter:
            self.notes.look("comparing accumulated gradients", self.accumulation)
        release()

    def first_loss(self) -> None:
        found = score.log_probabilities(self.trainer.model, self.typical, self.trainer.args)
        self.notes.note(fresh=float(-found.mean()))

    def padding(self) -> None:
        batch = self.trainer.data_collator([self.typical[0], self.short])
        self.notes.note(padding=score.beside(self.trainer.model, self.short, batch, self.trainer.args))

    def accumulation(self) -> None:
        self.notes.note(summed=accumulated(self.trainer, [self.typical[0], self.short]))


def in_half(trainer: Any) -> bool:
    """Whether anything is computed in 16 bits."""
    types = {parameter.dtype for parameter in trainer.model.parameters() if parameter.is_floating_point()}
    quantized = getattr(trainer.model, "is_quantized", False)  # what it computes in nearly always is
    return bool(trainer.args.bf16 or trainer.args.fp16 or quantized or types & {torch.bfloat16, torch.float16})


def accumulated(trainer: Any, rows: Sequence[Row]) -> float:
    """Relative difference of gradients: rows at once, and one after the other in as many micro batches."""

    def gradients(batches: Sequence[Sequence[Row]]) -> torch.Tensor:
        collated = iter([trainer.data_collator(batch) for batch in batches])
        samples, items = trainer.get_batch_samples(collated, len(batches), trainer.args.device)
        trainer.current_gradient_accumulation_steps = len(samples)
        for sample in samples:
            trainer.training_step(trainer.model_wrapped, sample, items)
        found = [p.grad.detach().float().flatten().cpu() for p in trainer.model.parameters() if p.grad is not None]
        trainer.model.zero_grad()
        return torch.cat(found)

    dropouts = [(module, module.p) for module in trainer.model.modules() if isinstance(module, torch.nn.Dropout)]
    for module, _ in dropouts:
        module.p = 0.0
    at_once, in_turn = gradients([rows]), gradients([[row] for row in rows])
    for module, share in dropouts:
        module.p = share
    return float((at_once - in_turn).norm() / at_once.norm().clamp(min=1e-30))


def peak_memory() -> Memory:
    """Peak memory of this process so far."""
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if torch.cuda.is_available():
        cards = range(torch.cuda.device_count())
        return Memory(
            resident,
            allocated=sum(map(torch.cuda.max_memory_allocated, cards)),
            reserved=sum(map(torch.cuda.max_memory_reserved, cards)),
            total=sum(torch.cuda.get_device_properties(card).total_memory for card in cards),
        )
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

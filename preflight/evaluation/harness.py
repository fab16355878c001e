"""Tasks of lm-evaluation-harness on base and tuned model, as they are loaded: nothing is loaded twice."""

import copy
import importlib.util
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import stdev
from typing import Any

from preflight.config import Config
from preflight.config.evaluation import LmEval
from preflight.config.problems import did_you_mean
from preflight.evaluation.trained import Trained
from preflight.findings import not_available
from preflight.model.build import short

INSTALL = "pip install 'finetune-preflight[lm-eval]'"
BATCH = 8
RESAMPLES = 1000  # of the harness's bootstrap, for metrics whose standard error has no formula
MAIN = ("acc", "acc_norm", "exact_match", "f1")  # the first of these that a task has is judged, or else its first


@dataclass(frozen=True)
class Score:
    """What base and tuned model reach on a task.

    Attributes:
        task: Its name, or that of a group of tasks which the harness sums up.
        metric: Its main metric with its filter, as the harness writes it: `exact_match,strict-match`.
        base: Of the base model.
        tuned: Of the tuned model.
        error: Standard error of the difference, None if it isn't known.
        paired: Whether that is of the differences of single samples; of the harness's two standard errors if not.
        higher: Whether more is better.
        samples: How many there are.
    """

    task: str
    metric: str
    base: float
    tuned: float
    error: float | None
    paired: bool
    higher: bool
    samples: int

    @property
    def drop(self) -> float:
        """By how much the tuned model is worse."""
        return self.base - self.tuned if self.higher else self.tuned - self.base


def scores_of(config: Config, wanted: LmEval, trained: Trained) -> list[Score]:
    """The tasks' scores.

    Raises:
        NotAvailable: the harness isn't installed, doesn't know a task, or can't run one.
    """
    if importlib.util.find_spec("lm_eval") is None:
        not_available(f"evaluation.lm_eval needs lm-evaluation-harness: {INSTALL}")
    manager = _manager(config, wanted)
    hf = copy.deepcopy(trained.tokenizer.hf)  # the harness sets its padding
    try:
        with trained.as_base() as model:
            before = _run(model, hf, wanted, manager)
        after = _run(trained.model, hf, wanted, manager)
    except Exception as error:  # from a dataset that isn't there to code that a task may not run
        not_available(f"evaluation.lm_eval: the harness can't run {', '.join(wanted.tasks)}: {short(error)}")
    found = list(compared(before, after))
    if not found:
        not_available(f"evaluation.lm_eval: the harness gives no number for {', '.join(wanted.tasks)}")
    return found


def _manager(config: Config, wanted: LmEval) -> Any:
    """The harness's list of tasks. Its own thousands are only looked at if the user's folder hasn't all."""
    try:
        from lm_eval.tasks import TaskManager
    except Exception as error:  # a release that doesn't fit the installed transformers, say
        not_available(f"evaluation.lm_eval: lm-evaluation-harness can't be imported: {short(error)}; try {INSTALL}")
    folder = None if wanted.include_path is None else config.resolve(wanted.include_path)
    if folder is not None and not folder.is_dir():
        not_available(f"evaluation.lm_eval.include_path: {wanted.include_path} is not a folder")
    manager = None
    try:
        if folder is not None:
            manager = TaskManager(include_path=str(folder), include_defaults=False)
        if manager is None or not set(wanted.tasks) <= set(manager.all_tasks):
            manager = TaskManager(include_path=None if folder is None else str(folder))
    except Exception as error:  # YAML that is none
        not_available(f"evaluation.lm_eval: the harness can't read its tasks: {short(error)}")
    for task in wanted.tasks:
        if task not in manager.all_tasks:
            near = did_you_mean(task, manager.all_tasks) or "Give the folder of your own as include_path."
            not_available(f"evaluation.lm_eval.tasks: the harness has no task {task}. {near}")
    return manager


def _run(model: Any, tokenizer: Any, wanted: LmEval, manager: Any) -> Mapping[str, Any]:
    import lm_eval
    from lm_eval.models.huggingface import HFLM

    found = lm_eval.simple_evaluate(
        model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH),
        tasks=list(wanted.tasks),
        task_manager=manager,
        num_fewshot=wanted.num_fewshot,
        limit=wanted.limit,
        bootstrap_iters=RESAMPLES,
    )
    return found or {}


def compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Score]:
    """What the harness found of both, task by task. The tasks of a group that it sums up are not taken one by one."""
    groups = before.get("groups") or {}
    inside = {task for group in groups for task in before["group_subtasks"].get(group, ())}
    for task, found in {**before["results"], **groups}.items():
        metric = _main(found)
        if task in inside or metric is None:
            continue
        tuned = {**after["results"], **(after.get("groups") or {})}[task]
        differences = _differences(before, after, task, metric)
        paired = len(differences) > 1
        yield Score(
            task,
            metric,
            float(found[metric]),
            float(tuned[metric]),
            stdev(differences) / math.sqrt(len(differences)) if paired else _combined(found, tuned, metric),
            paired,
            before["higher_is_better"].get(task, {}).get(metric.partition(",")[0]) is not False,
            _count(before, task),
        )


def _main(found: Mapping[str, Any]) -> str | None:
    def is_score(name: str) -> bool:
        return "," in name and "_stderr," not in name and isinstance(found[name], int | float)

    def rank(name: str) -> int:
        metric = name.partition(",")[0]
        return MAIN.index(metric) if metric in MAIN else len(MAIN)

    return min(filter(is_score, found), key=rank, default=None)


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], task: str, metric: str) -> list[float]:
    """Tuned minus base on each sample; nothing if samples have no score of their own."""
    name, _, kept = metric.partition(",")

    def of(found: Mapping[str, Any]) -> dict[Any, Any]:
        samples = (found.get("samples") or {}).get(task, ())
        return {sample["doc_id"]: sample.get(name) for sample in samples if sample.get("filter", kept) == kept}

    base, tuned = of(before), of(after)
    values = [*base.values(), *tuned.values()]
    if base.keys() != tuned.keys() or not all(isinstance(value, int | float) for value in values):
        return []
    return [tuned[sample] - base[sample] for sample in base]


def _combined(base: Mapping[str, Any], tuned: Mapping[str, Any], metric: str) -> float | None:
    one, other = (found.get(metric.replace(",", "_stderr,", 1)) for found in (base, tuned))
    return math.hypot(one, other) if isinstance(one, int | float) and isinstance(other, int | float) else None


def _count(found: Mapping[str, Any], task: str) -> int:
    """Samples of a task, or of all the tasks of a group."""
    if task in found["n-samples"]:
        return int(found["n-samples"][task]["effective"])
    return sum(_count(found, part) for part in found["group_subtasks"].get(task, ()))

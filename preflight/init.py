"""`preflight init`: a commented config for a model and a data file, made from what is found in them."""

import math
import os
import re
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from preflight.config import Config, Section, evaluation, sections
from preflight.data import readers, shapes
from preflight.findings import NotAvailable
from preflight.init_plan import choose_method, fitting, guess_task, with_steps
from preflight.init_text import CONFIG, SUMMARY, fill
from preflight.target import Target

if TYPE_CHECKING:
    from preflight.model.tokenizer import Tokenizer

SAMPLE = 3000  # rows that are parsed and tokenised; the others are only counted
# Examples that a task type needs, the checklist's table.
MINIMUM = {"classification": 100, "instruction-following": 500, "qa": 500, "reasoning": 500, "code-generation": 2000}
TASK_FIELDS = ("task_type", "task", "category", "topic")
WINDOW_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len")
# Attention projections by the names that families of models give them.
ATTENTION: tuple[tuple[str, ...], ...] = (
    ("q_proj", "k_proj", "v_proj", "o_proj", "out_proj"),
    ("qkv_proj", "o_proj"),
    ("query_key_value",),
    ("Wqkv", "out_proj"),
    ("c_attn",),
)


class InitError(Exception):
    """What was given can't be made into a config; the message says why."""


class Examples(NamedTuple):
    """A data file: how many rows, the usual shape, the first examples of it with their rows, and what is odd."""

    rows: int
    shape: str
    sample: list[shapes.Example]
    values: list[dict[str, Any]]
    notes: list[str]


def write_config(
    model: str,
    data: str,
    validation: str | None,
    output: Path,
    machine: tuple[str | None, float | None, int] = (None, None, 1),
) -> int:
    """Write a config, say what was found and what to do next, and return the exit code.

    Args:
        model: A model's folder, or its id on the hub.
        data: The training data: a file or a glob.
        validation: Held-out data; without it a part of the training data is held out.
        output: The file to write. It is never overwritten.
        machine: The card that will train, its GiB, and how many of them; this machine's own by default.
    """
    try:
        if os.path.lexists(output):
            raise InitError(f"{output} is there already and is never overwritten; give another name with --output")
        if not output.parent.is_dir():
            raise InitError(f"the folder {output.parent} does not exist")
        facts = find_facts(model, data, validation, output.absolute().parent, described(*machine))
        with output.open("x", encoding="utf-8") as stream:
            stream.write(fill(CONFIG, {**facts, "config": os.path.relpath(output)}))
    except (InitError, NotAvailable) as error:
        print(f"preflight init: {error}", file=sys.stderr)
        return 1
    except (OSError, UnicodeError) as error:
        print(f"preflight init: can't write {output}: {error}", file=sys.stderr)
        return 1
    print(fill(SUMMARY, {**facts, "config": os.path.relpath(output)}), end="")
    return 0


def find_facts(
    model: str, data: str, validation: str | None, folder: Path, hardware: sections.Hardware
) -> dict[str, Any]:
    """Everything that the config and the summary say about model, data and machine.

    Raises:
        InitError: model or data can't be used.
        NotAvailable: the model's files can't be loaded.
    """
    name = model_name(model, folder)
    train = look_at(data, "--data")
    held_out = look_at(validation, "--validation") if validation else None

    # These import torch, which takes seconds: only once the data is known to be usable.
    from preflight.model import files
    from preflight.model.modules import module_tree
    from preflight.model.tokenizer import load_tokenizer

    draft = _draft(name, folder)
    window = window_of(files.model_config(draft))
    tokenizer, tree = load_tokenizer(draft), module_tree(draft)
    lengths, problem = lengths_of(train.sample, tokenizer)
    wanted = math.ceil(lengths[math.ceil(0.99 * len(lengths)) - 1] / 8) * 8 if lengths else 1024
    notes = [*train.notes, *(held_out.notes if held_out else []), *([problem] if problem else [])]
    if window and window < wanted:
        notes.append(f"more than 1 % of the rows are longer than the {window:,} tokens that the model takes")
    split = 0.05 if train.rows < 1000 else 0.1
    task = guess_task(train.sample)
    rows = train.rows if held_out else round(train.rows * (1 - split))
    if rows < MINIMUM[task.type]:
        notes.append(f"{rows} training rows; {task.type} needs {MINIMUM[task.type]}. Is task.type another one?")
    targets, length = attention_of(list(tree.linears)), min(wanted, window or wanted)
    target = target_of(hardware)
    method = choose_method(tree.parameters, next(iter(target.gpus), None))
    settings = files.model_config(draft)
    method = fitting(method, target, tree.parameters, settings=settings, targets=targets, length=length)
    present = {message["role"] for example in train.sample for message in example.messages}
    return {
        "name": f"{_slug(Path(model).expanduser().absolute().name)}-{_slug(Path(data).stem)}",
        "model": name,
        "train": train,
        "held_out": held_out,
        "train_path": _relative(data, folder),
        "validation_path": _relative(validation, folder) if validation else None,
        "split": split,
        "chat": bool(train.sample[0].messages),
        "roles": ", ".join(role for role in shapes.ROLES if role in present),
        "task_field": task_field(train.values),
        "template": tokenizer.template,
        "tree": tree,
        "targets": targets,
        "method": with_steps(method, rows),
        "task": task,
        "hardware": hardware,
        "window": window,
        "lengths": lengths,
        "max_length": length,
        "notes": notes,
    }


def look_at(paths: str, option: str) -> Examples:
    """Count a data file's rows and normalise the first of them."""
    files, problems = readers.find_files(Path.cwd(), paths)
    if problems:
        raise InitError(f"{option}: {problems[0].problem}")
    items = [item for file in files for item in islice(readers.read(file), SAMPLE // len(files) + 1)]
    found: list[tuple[shapes.Example, dict[str, Any]]] = []
    faults: list[str] = []
    for item in items:
        try:
            if isinstance(item, readers.Broken):
                raise shapes.ShapeError(item.problem)
            found.append((shapes.normalise(item.value), item.value))
        except shapes.ShapeError as error:
            faults.append(f"{item.where}: {error}{'. ' if error.fix else ''}{error.fix}")
    if not found:
        raise InitError(f"{option}: {faults[0] if faults else f'{paths} has no rows'}")
    counts = Counter(example.shape for example, _ in found)
    usual = counts.most_common(1)[0][0]
    notes = [f"{len(faults)} of {len(items)} rows can't be used; the gate names them: {faults[0]}"] if faults else []
    notes += [f"shapes are mixed, which the gate refuses: {dict(counts)}"] if len(counts) > 1 else []
    same = [(example, value) for example, value in found if example.shape == usual]
    return Examples(sum(map(_count, files)), usual, [e for e, _ in same], [v for _, v in same], notes)


def _count(file: Path) -> int:
    """Rows of a file, without parsing them where the format allows."""
    if file.suffix == ".jsonl":
        with file.open("rb") as lines:
            first = next((line for line in lines if line.strip()), b"")
            if not first.lstrip().startswith(b"["):  # a list, as JSON has it, under the wrong name
                return 1 + sum(bool(line.strip()) for line in lines) if first else 0
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        return int(pq.read_metadata(file).num_rows)
    return sum(isinstance(item, readers.Row) for item in readers.read(file))


def lengths_of(sample: list[shapes.Example], tokenizer: "Tokenizer") -> tuple[list[int], str]:
    """Token counts of rendered examples, sorted; and what the chat template refuses, if it refuses any."""
    from preflight.data import label
    from preflight.data.render import RenderError, Rules

    rules = Rules(completion_only_loss=False)
    lengths: list[int] = []
    refused: list[str] = []
    for example in sample:
        try:
            lengths.append(len(label.one(example, tokenizer, rules).ids))
        except RenderError as error:
            refused.append(str(error))
    problem = f"{len(refused)} of {len(sample)} rows can't be rendered: {refused[0]}" if refused else ""
    return sorted(lengths), problem


def task_field(rows: list[dict[str, Any]]) -> str | None:
    """The column that names each example's task type, if there obviously is one: few names, each of many rows."""
    for field in TASK_FIELDS:
        values = [row.get(field) for row in rows]
        named = all(isinstance(value, str) and value.strip() for value in values)
        if named and 2 <= len(set(values)) <= min(20, len(rows) // 5):
            return field
    return None


def attention_of(linears: list[str]) -> tuple[str, ...]:
    """The attention projections among the names of a model's linear layers; peft's `all-linear` if none is known."""
    found = [tuple(name for name in family if name in linears) for family in ATTENTION]
    return max(found, key=len) or ("all-linear",)


def window_of(settings: dict[str, Any]) -> int | None:
    """The longest input that the model takes; models of several parts keep it with their text part."""
    places = (settings, settings.get("text_config") or {})
    return next((place[key] for place in places for key in WINDOW_KEYS if isinstance(place.get(key), int)), None)


def described(gpu: str | None, memory_gib: float | None, count: int) -> sections.Hardware:
    """The machine that the options `--gpu`, `--memory-gib` and `--gpus` describe; this one without them.

    Raises:
        InitError: they are half a description.
    """
    if gpu is None and memory_gib is None:
        return sections.Hardware()
    if gpu is None or not memory_gib or memory_gib <= 0:
        raise InitError("--gpu and --memory-gib describe a card together: --gpu 'RTX 4080' --memory-gib 16")
    return sections.Hardware(gpu=gpu, memory_gib=memory_gib, count=count)


def target_of(hardware: sections.Hardware) -> Target:
    """The machine that would train: the one that options describe, or this one."""
    from preflight import target

    if hardware.is_local:
        gpus, _ = target.local_gpus()
        return Target(local=True, gpus=gpus)
    return Target(local=False, gpus=(target.described_gpu(hardware),) * (hardware.count or 1))


def model_name(model: str, folder: Path) -> str:
    """What `model.name_or_path` should say: the folder relative to the config's, or the id on the hub as it is."""
    local = Path(model).expanduser()
    if local.is_dir():
        path = _relative(model, folder)
        return path if path.startswith(".") else f"./{path}"  # `a/b` alone could be an id on the hub
    if local.exists():
        raise InitError(f"--model: {model} is a file; name the folder that holds config.json")
    if model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise InitError(f"--model: there is no folder {model}")
    return model


def _relative(path: str, folder: Path) -> str:
    return Path(os.path.relpath(Path(path).expanduser().absolute(), folder)).as_posix()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "run"


def _draft(model: str, folder: Path) -> Config:
    """A config in memory, for the code that loads tokenizers and module trees by one."""
    ours: dict[str, Any] = {"model": sections.Model(name_or_path=model), "data": sections.Data(train="draft")}
    ours |= {"task": sections.Task(), "hardware": sections.Hardware(), "gate": sections.Gate()}
    ours |= {"evaluation": evaluation.Evaluation(), "deployment": sections.Deployment()}
    training = Section({"output_dir": "draft"})
    return Config(name="draft", lora=None, quantization=None, training=training, path=folder / "config.yaml", **ours)

"""The run card as Markdown, and as the model card that the Hugging Face hub shows.

Names in it are the user's: none of them may become markup, or end a cell, a line or a block.
"""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from preflight.config import Config
from preflight.data.readers import hub
from preflight.findings import counted
from preflight.model import files
from preflight.report import curves
from preflight.report.html import visible

GIB = 2**30
MARKUP = re.compile(r"[\\`*\[\]<>|#~&]|(?<![^\W_])_|_(?![^\W_])")  # an underline within a word is none
NOTABLE = (  # of some 150 settings; the others are in run-card.json
    "learning_rate",
    "lr_scheduler_type",
    "warmup_steps",
    "num_train_epochs",
    "max_steps",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "optim",
    "weight_decay",
    "max_grad_norm",
    "bf16",
    "fp16",
    "gradient_checkpointing",
)


def with_metadata(card: Mapping[str, Any]) -> str:
    """The model card: metadata for the hub, how to use the model, and the run card.

    Args:
        card: The facts of the run card.
    """
    from huggingface_hub import ModelCard, ModelCardData

    data = ModelCardData(
        **card["hub"],
        library_name="transformers" if card["config"]["lora"] is None else "peft",
        pipeline_tag="text-generation",
        tags=tags(card["config"]),
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{markdown(card, usage=True)}"))


def hub_facts(config: Config) -> dict[str, Any]:
    """Where the model comes from, as far as the hub can know it: base model, datasets and license."""
    found = {"base_model": hub_model(config), "datasets": hub_datasets(config), **license_of_base(config)}
    return {key: value for key, value in found.items() if value}


def tags(config: Mapping[str, Any]) -> list[str]:
    """What the hub can be searched by."""
    lora, quantization = config["lora"], config["quantization"] or {}
    found = ["lora"] if lora is not None else []
    found += [kind for kind in ("dora", "rslora") if (lora or {}).get(f"use_{kind}")]
    found += ["qlora"] if lora is not None and quantization.get("load_in_4bit") else []
    return [*found, "trl", "sft", "preflight"]


def hub_model(config: Config) -> str | None:
    """The base model's id on the hub; None for one that comes from a folder."""
    name = config.model.name_or_path
    return name if name.count("/") == 1 and name[0] not in "./~" and not config.resolve(name).exists() else None


def hub_datasets(config: Config) -> list[str]:
    """Ids of the datasets of the hub that were trained on, or evaluated with."""
    paths = [*config.data.train_paths, *config.data.validation_paths]
    ids = [path for path in paths if hub.is_id(path) and not config.resolve(path).exists()]
    return list(dict.fromkeys("/".join(path.split("/")[:2]) for path in ids))


def license_of_base(config: Config) -> dict[str, Any]:
    """What the base model's own card says of its license; nothing without one."""
    from huggingface_hub import metadata_load

    try:
        said = metadata_load(files.folder_of(config) / "README.md") or {}
    except Exception:  # there is none, or its YAML is none: as good as silent
        return {}
    found = {key: said[key] for key in ("license", "license_name", "license_link") if isinstance(said.get(key), str)}
    if not found.get("license_link", "").startswith("https://"):
        found.pop("license_link", None)  # a file beside that card, and not beside this one
    return found


def markdown(card: Mapping[str, Any], *, usage: bool = False) -> str:
    """The card for people.

    Args:
        card: The facts of the run card.
        usage: Whether to say how to use the model.
    """
    config, effective = card["config"], card["effective_training"]
    training = {key: value for key, value in config["training"].items() if key != "output_dir"}
    unsaid = {key: effective[key] for key in NOTABLE if key in effective and key not in training}
    digests = {public(name): digest for name, digest in card["digests"].items()}
    spoke = [monitor for monitor in card["monitors"] if monitor["outcome"] != "not-applicable"]
    monitors = [(f"{each['code']} {each['name']}", each["outcome"], each["summary"]) for each in spoke]
    parts = [
        f"# {text(card['name'])}",
        about(card),
        f"## Use it\n\n{block('python', how_to_use(config))}" if usage else "",
        f"## The run\n\n{table(('', ''), rows(card))}",
        f"## Monitors\n\n{table(('Monitor', 'Outcome', 'What it saw'), monitors)}" if monitors else "",
        f"## Adapter\n\n{listed(config['lora'])}" if config["lora"] else "",
        f"## Quantization\n\n{listed(config['quantization'])}" if config["quantization"] else "",
        f"## Training\n\n{listed(training)}",
        f"Not set, and so as the libraries have it (all settings in force are in run-card.json):\n\n{listed(unsaid)}",
        f"## Versions\n\n{listed({'python': card['hardware']['python']} | card['versions'])}",
        f"## What was cleared\n\nSHA-256 of each:\n\n{listed(digests)}",
        f"## Make it again\n\nIn the folder of the config:\n\n{block('sh', card['reproduce'])}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def about(card: Mapping[str, Any]) -> str:
    """What this model is, in a sentence."""
    base, found = text(base_of(card)), method(card["config"])
    what = f"A full fine-tune of {base}" if card["config"]["lora"] is None else f"A {found} adapter for {base}"
    examples = counted(card["examples"].get("train", 0), "example")
    return f"{what}, trained with TRL's supervised fine-tuning on {examples} that were judged and cleared by preflight."


def base_of(card: Mapping[str, Any]) -> str:
    """The base model; of a folder only its name, for the card may be published."""
    folder = Path(card["config"]["model"]["name_or_path"]).name
    return str(card["hub"].get("base_model") or f"{folder} (a local folder)")


def method(config: Mapping[str, Any]) -> str:
    """How it was tuned, by its usual name."""
    lora, quantization = config["lora"], config["quantization"] or {}
    if lora is None:
        return "full fine-tuning"
    name = "DoRA" if lora.get("use_dora") else "rsLoRA" if lora.get("use_rslora") else "LoRA"
    bits = next((bits for bits in ("4", "8") if quantization.get(f"load_in_{bits}bit")), None)
    return f"{name} ({bits}-bit base)" if bits else name


def rows(card: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The run at a glance: a label and a value each."""
    losses, held_out, measured = card["loss"], card["eval_loss"], card["measured"]
    said = curves.in_words(measured)
    resumed = f", resumed {counted(card['resumed'], 'time')}" if card["resumed"] else ""
    data = ", ".join(f"{count:,} {split}" for split, count in card["examples"].items())
    best = min((loss for _, loss in held_out if math.isfinite(loss)), default=math.nan)
    kept = f"step {card['best']['step']}, the best on the validation data" if card["best"] else "the last step"
    return [
        ("Base model", base_of(card)),
        ("Method", method(card["config"])),
        ("Examples", data),
        ("Loss", f"{losses[0][1]:.3f} to {losses[-1][1]:.3f} in {losses[-1][0]} steps" if losses else "not logged"),
        ("Validation loss", f"{held_out[-1][1]:.3f} at the end, best {best:.3f}" if held_out else "not evaluated"),
        ("Kept", kept),
        ("Started", card["started"]),
        ("Finished", f"{card['finished']}{resumed}"),
        ("Hardware", hardware(card["hardware"])),
        *((label.capitalize(), said.get(label, "not measured")) for label in ("speed", "step", "memory", "energy")),
        ("Seed", card["seed"]),
        ("Git", card["git"]["in_words"]),
        ("Clearance", card["clearance"]),
    ]


def hardware(found: Mapping[str, Any]) -> str:
    """What the run ran on, in a line."""
    gpus = [f"{gpu['name']} ({gpu['memory'] / GIB:.0f} GiB)" for gpu in found["gpus"]]
    cards = [f"{gpus.count(gpu)} x {gpu}" for gpu in dict.fromkeys(gpus)] or ["no card"]
    software = [f"{name} {found[key]}" for name, key in (("driver", "driver"), ("CUDA", "cuda")) if found[key]]
    spread = [counted(found["cores"], "core"), f"{found['memory'] / GIB:.0f} GiB of memory"]
    spread += [f"{found['processes']} processes"] if found["processes"] > 1 else []
    spread += [f"{found['nodes']} nodes such as this"] if found["nodes"] > 1 else []
    return ", ".join([*cards, *software, *spread])


def public(name: str) -> str:
    """A file's name for a card that may be published: of a path from the root only its end."""
    return "/".join(Path(name).parts[-2:]) if name.startswith("/") else name


def how_to_use(config: Mapping[str, Any]) -> list[str]:
    """Lines of Python that load the model from its folder."""
    full = config["lora"] is None
    library, kind = ("transformers", "AutoModelForCausalLM") if full else ("peft", "AutoPeftModelForCausalLM")
    return [
        f"from {library} import {kind}",
        "from transformers import AutoTokenizer",
        "",
        'folder = "."  # of this file',
        f"model = {kind}.from_pretrained(folder)",
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
    ]


def text(value: Any) -> str:
    """A value as one line of plain text that is no markup."""
    return MARKUP.sub(r"\\\g<0>", _line(value))


def code(value: Any) -> str:
    """A value as one line of code, whatever is in it."""
    line = _line(value)
    fence = "`" * (_longest(line) + 1)
    return f"{fence} {line} {fence}" if line[:1] == "`" or line[-1:] == "`" else f"{fence}{line}{fence}"


def block(language: str, lines: Iterable[str]) -> str:
    """Lines of code."""
    body = visible("\n".join(lines))
    fence = "`" * max(_longest(body) + 1, 3)
    return f"{fence}{language}\n{body}\n{fence}"


def table(head: Iterable[str], lines: Iterable[Iterable[Any]]) -> str:
    """A table of plain text."""
    names = list(head)
    cells = [names, ["---"] * len(names), *([text(value) for value in line] for line in lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def listed(values: Mapping[str, Any]) -> str:
    """Keys and values, an item each."""
    return "\n".join(f"- {code(f'{key}: {value}')}" for key, value in values.items())


def _line(value: Any) -> str:
    return visible(" ".join(str(value).split()))


def _longest(line: str) -> int:
    return max(map(len, re.findall("`+", line)), default=0)

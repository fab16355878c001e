import json
from collections.abc import Iterator
from pathlib import Path

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.model import files

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
OTHER_FORMATS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.msgpack", "*.h5", "*.gguf")
CONVERT = "Load the model once and write it with save_pretrained(folder), or download its safetensors files."
AGAIN = "Copy or download the file again; a Git LFS pointer becomes the file by `git lfs pull`."


@check(
    "CFG-110",
    "model-files",
    severity="required",
    section=4,
    item="Hugging Face login (for gated models): the model is there",
    waivable=False,
)
def the_model_and_its_weights_are_there(config: Config, evidence: Evidence) -> None:
    """The model's folder holds a config and whole safetensors weights.

    What it checks: `model.name_or_path` leads to a folder (or a model of the hub that can be had) with a `config.json`
    that names its `model_type`, and with `model.safetensors` or every shard that `model.safetensors.index.json` names.
    Each file's header must fit its size. Weights in other formats only, pickles above all, are refused.
    Why it matters: Nothing can be trained without them, a clearance has nothing to bind, and a pickle runs whatever
    code it holds when it is loaded.
    How to fix: Correct `model.name_or_path`, fetch what is missing (`hf download`, `git lfs pull`; `hf auth login` for
    a gated model), or write the model anew with `save_pretrained`, which makes safetensors.
    Evidence: interrupted downloads and Git LFS pointers in the place of weights end a run when the model is loaded,
    after it has waited for its GPU.
    """
    key = "model.name_or_path"
    try:
        folder = files.folder_of(config)
        kind = files.model_config(config).get("model_type")
    except files.ModelFilesError as error:
        report_findings([Finding(str(error).removeprefix(f"{key}: "), where=config.where(key), fix=_hint(config))])
        return
    weights = files.weight_files(config)
    size = sum(path.stat().st_size for path in weights)
    evidence(f"{kind}, {size / 1e9:.2f} GB in {counted(len(weights), 'file')}", files=len(weights), bytes=size)
    findings = (
        [] if kind else [Finding(f"{folder / 'config.json'} names no model_type", fix="Take the model's own file.")]
    )
    report_findings([*findings, *weight_problems(folder)])


def weight_problems(folder: Path) -> Iterator[Finding]:
    """What is wrong with the weights that transformers would load from a folder."""
    if (folder / SINGLE).is_file():
        names = [SINGLE]
    elif (folder / INDEX).is_file():
        try:
            names = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            yield Finding(f"{INDEX} can't be read: {error}", where=str(folder / INDEX), fix=AGAIN)
            return
    else:
        others = sorted(path.name for pattern in OTHER_FORMATS for path in folder.glob(pattern))
        found = f"; there are {', '.join(others[:5])}, and only safetensors are loaded" if others else ""
        yield Finding(f"no {SINGLE} in {folder}{found}", fix=CONVERT if others else AGAIN)
        return
    for name in names:
        if problem := _damage(folder / name):
            yield Finding(problem, where=str(folder / name), fix=AGAIN)


def _damage(path: Path) -> str | None:
    """What keeps a safetensors file from being loaded; None if nothing does. Only its header is read."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return f"{path.name} is missing; {INDEX} names it"
    try:
        with safe_open(path, framework="numpy"):
            return None
    except (SafetensorError, OSError) as error:
        return f"{path.name} is not a whole safetensors file: {error}"


def _hint(config: Config) -> str:
    folder = config.resolve(config.model.name_or_path)
    if (folder / "adapter_config.json").is_file():
        return "The folder holds an adapter: name the base model that it was trained on."
    return "Name the folder that holds config.json and the weights, or a model of the hub."

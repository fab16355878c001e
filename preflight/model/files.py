"""Where the model's files are, and which of them matter for what."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from preflight.config import Config
from preflight.findings import NotAvailable

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
)
WEIGHTS = ("*.safetensors",)


class ModelFilesError(NotAvailable):
    """The model's files are not where the config says; the message says what is missing and what to do."""


def folder_of(config: Config, *, name: str | None = None) -> Path:
    """The local folder of the model, or of `model.tokenizer` if `name` is that.

    A name that isn't a folder is taken for a hub id and looked up in the local hub cache; what is missing is
    downloaded, unless `HF_HUB_OFFLINE` is set.

    Raises:
        ModelFilesError: there is no such folder and no such model on the hub, or the hub can't be reached.
    """
    key, revision = ("model.tokenizer", None) if name else ("model.name_or_path", config.model.revision)
    name = name or config.model.name_or_path
    local = config.resolve(name)
    if local.is_dir():
        return local
    if local.is_file():
        raise ModelFilesError(f"{key}: {name} is a file; name the folder that holds it")
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ModelFilesError(f"{key}: the folder {name} does not exist (looked at {local})")
    return _snapshot(name, revision, key)


@cache
def _snapshot(name: str, revision: str | None, key: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = ["*.json", "*.jinja", "*.txt", "*.model", *WEIGHTS]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError, OSError) as error:
        first = str(error).partition("\n")[0]
        raise ModelFilesError(
            f"{key}: {name} is not a folder here and can't be had from the hub: {first}. "
            "Download it first (`hf download`), or log in with `hf auth login` if it is gated."
        ) from error


def tokenizer_folder(config: Config) -> Path:
    """The folder that the tokenizer comes from."""
    return folder_of(config, name=config.model.tokenizer)


def tokenizer_files(config: Config) -> list[Path]:
    """The files that decide how text becomes ids, the chat template's among them."""
    folder = tokenizer_folder(config)
    files = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
    template = template_file(config)
    return files if template is None else [*files, template]


def template_file(config: Config) -> Path | None:
    """The Jinja file that replaces the tokenizer's own chat template: `model.chat_template`, or TRL's setting.

    Raises:
        ModelFilesError: it isn't there, or TRL's setting names a model to clone the template from.
    """
    key = "model.chat_template" if config.model.chat_template else "training.chat_template_path"
    name = config.model.chat_template or config.training.get("chat_template_path")
    if name is None:
        return None
    path = config.resolve(name)
    if path.suffix not in (".jinja", ".j2") or not path.is_file():
        raise ModelFilesError(f"{key}: {name} is not a .jinja file (looked at {path})")
    return path


def weight_files(config: Config) -> list[Path]:
    """The safetensors files of the model, in order."""
    return sorted(path for pattern in WEIGHTS for path in folder_of(config).glob(pattern))


def model_config(config: Config) -> dict[str, Any]:
    """The model's `config.json`.

    Raises:
        ModelFilesError: it is missing or not JSON.
    """
    path = folder_of(config) / "config.json"
    if not path.is_file():
        raise ModelFilesError(f"model.name_or_path: no config.json in {path.parent}")
    return _object(path)


def stop_ids(config: Config, eos_token_id: int | None) -> set[int]:
    """The ids that end a generation: the tokenizer's EOS and what `generation_config.json` (or `config.json`) names.

    Raises:
        ModelFilesError: one of these files isn't JSON.
    """
    found: set[int] = set() if eos_token_id is None else {eos_token_id}
    for name in ("generation_config.json", "config.json"):
        path = folder_of(config) / name
        value = _object(path).get("eos_token_id") if path.is_file() else None
        if value is not None:
            return found | ({value} if isinstance(value, int) else set(value))
    return found


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFilesError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelFilesError(f"{path}: must hold an object")
    return value

"""What a clearance binds: digests of everything that the outcomes of a stage depend on, as it is now."""

from collections.abc import Mapping
from glob import escape, glob
from pathlib import Path
from typing import Any

from preflight import digests, registry
from preflight.accepted import accepted_path
from preflight.config import Config
from preflight.data import store
from preflight.data.readers import hub
from preflight.findings import NotAvailable
from preflight.flight.foreign import foreign, state_of
from preflight.model import files
from preflight.registry import Stage

Subject = dict[str, Any]
TRAINED = (
    "adapter_config.json",
    "adapter_model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
    "config.json",
    "model.safetensors.index.json",
    "run-card.json",
    "run.jsonl",
)
ACCEPTED = "accepted"  # the kind of what `preflight accept` wrote


class Refused(Exception):
    """No clearance, and why."""


def bind(config: Config, stage: Stage) -> list[Subject]:
    """Descriptors of everything that the outcomes depend on, as it is now.

    Each has name, digest and annotations: what a person wants to read when it differs.

    Raises:
        Refused: something of it can't be read.
    """
    judged = config.judged(stage)
    subjects = [_subject("config", digests.of_json(judged), resolved=judged)]
    try:
        for split, (found, _) in store.split_files(config).items():
            subjects += [_file(config, source, kind=split, rows=_rows(source)) for source in found]
        subjects += [_file(config, source, kind="tokenizer") for source in files.tokenizer_files(config)]
        subjects += [_file(config, source, kind="model") for source in _model_files(config)]
        subjects += _prepared(config)
        if stage == "postflight":
            subjects += [_file(config, source, kind="trained") for source in _trained_files(config)]
            known = {subject["name"] for subject in subjects}
            asked = {name_of(config, source): source for source in evaluation_files(config)}
            subjects += [
                _file(config, source, kind="evaluation") for name, source in asked.items() if name not in known
            ]
            if (accepted := accepted_path(config)).is_file():
                subjects.append(_file(config, accepted, kind=ACCEPTED))
    except (NotAvailable, OSError) as error:
        raise Refused(str(error)) from error
    return subjects


def stamps(config: Config, stage: Stage) -> Mapping[str, Any]:
    """Size and time of every local file that is going to be judged: what tells whether it changes meanwhile."""
    found = [config.path]
    if stage == "postflight":
        found += [*evaluation_files(config), accepted_path(config)]
    try:
        found += registry.user_files(map(config.resolve, config.gate.checks))
        found += [file for files_of_split, _ in store.split_files(config).values() for file in files_of_split]
        if config.resolve(config.model.name_or_path).is_dir():  # what the hub's cache holds never changes
            found += [*files.tokenizer_files(config), *_model_files(config)]
    except (NotAvailable, registry.RegistryError):
        pass  # the gate says so
    return {name_of(config, file): _stamp(file) for file in found}


def evaluation_files(config: Config) -> list[Path]:
    """The files that `evaluation` names, those of folders included. A name that leads to no file is left out."""
    asked = config.evaluation
    schema = getattr(asked.format, "json_schema", None)
    general = [asked.general] if isinstance(asked.general, str) else asked.general or []
    metrics = [name.rpartition(":")[0] for name in asked.demands if ".py:" in name]
    named = [asked.data, asked.suite, asked.edge_cases, schema, *general, *metrics]
    named += [asked.lm_eval.include_path if asked.lm_eval else None]
    found: list[str] = []
    for path in (config.resolve(name) for name in named if isinstance(name, str)):
        found += glob(f"{escape(str(path))}/**", recursive=True) if path.is_dir() else glob(str(path)) or [str(path)]
    return [path for path in map(Path, sorted(set(found))) if path.is_file()]


def name_of(config: Config, source: Path) -> str:
    """The file as the config would name it: relative to the config if it lies beside or below it.

    A dataset of the hub has the name that it has in every machine's cache.
    """
    beside = source.is_relative_to(config.folder)
    return hub.name_of(source) or (source.relative_to(config.folder) if beside else source).as_posix()


def _trained_files(config: Config) -> list[Path]:
    """What the run left that is judged; a full fine-tuning leaves the weights of a whole model."""
    found = [config.output_dir / name for name in TRAINED]
    found += sorted(config.output_dir.glob("model*.safetensors")) if config.lora is None else []
    if foreign(config):  # its log, in the place of run.jsonl and the run card
        found += filter(None, [state_of(config.output_dir)[0]])
    return [path for path in found if path.is_file()]


def _model_files(config: Config) -> list[Path]:
    """What the base model is built from. Its own code is part of it where the config trusts it."""
    folder = files.folder_of(config)
    names = ["config.json", "generation_config.json", "model.safetensors.index.json"]
    code = sorted(folder.glob("*.py")) if config.model.trust_remote_code else []
    return [path for path in (folder / name for name in names) if path.is_file()] + code + files.weight_files(config)


def _stamp(file: Path) -> tuple[int, ...] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _prepared(config: Config) -> list[Subject]:
    folder = store.folder_of(config)
    if not (folder / "meta.json").is_file():
        return []
    try:
        splits = store.open_prepared(folder).splits.values()
        return [_subject(f"prepared {split.name}", digests.of_file(split.fed), rows=split.rows) for split in splits]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"the prepared data is damaged ({error}): delete {folder} and clear the run again") from error


def _rows(source: Path) -> int | None:
    """Lines of a text file, the way a person counts a dataset; None for other formats."""
    if source.suffix != ".jsonl":
        return None
    with source.open("rb") as stream:
        return sum(1 for line in stream if line.strip())


def _file(config: Config, source: Path, *, kind: str, rows: int | None = None) -> Subject:
    notes = {"kind": kind, "bytes": source.stat().st_size} | ({} if rows is None else {"rows": rows})
    return _subject(name_of(config, source), digests.of_file(source), **notes)


def _subject(name: str, sha256: str, **annotations: Any) -> Subject:
    return {"name": name, "digest": {"sha256": sha256}, "annotations": annotations}

"""The clearance: a green verdict, sealed. An in-toto Statement with the test-result predicate.

It binds digests of everything that was judged to the outcomes. The trainer demands one that matches what it is about to
train on. Formats: in-toto Statement v1 and test-result v0.1, as specified by the in-toto attestation framework.
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from preflight import digests, machine, registry
from preflight.config import Config
from preflight.data import prepare
from preflight.model import files
from preflight.registry import Stage
from preflight.verdict import Result

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
Subject = dict[str, Any]


class Refused(Exception):
    """No clearance, and why."""


def path(config: Config, stage: Stage) -> Path:
    """Where the clearance of a stage lies."""
    return config.artefacts(stage) / "clearance.json"


def write(config: Config, stage: Stage, results: Mapping[str, Result]) -> None:
    """Seal a green verdict, atomically.

    Raises:
        Refused: what was judged can't be bound any more, for example because a file changed while the gate ran.
    """
    subjects = bind(config, stage)
    if stage == "preflight" and not (prepare.folder_of(config) / "meta.json").is_file():
        raise Refused("the data, the tokenizer or the config changed while the gate ran; run it again")
    statement = {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "result": "PASSED",
            "configuration": [
                {"name": "checks", "digest": _checks(config, stage)},
                {"name": "versions", "digest": _sha(machine.versions()), "annotations": dict(machine.versions())},
            ],
            "passedTests": [code for code, result in results.items() if result.outcome == "passed"],
            "warnedTests": [code for code, result in results.items() if result.outcome in ("warned", "waived")],
            "failedTests": [],
            # Beyond the predicate's own fields: every outcome, and who waived what.
            "stage": stage,
            "outcomes": {code: result.outcome for code, result in results.items()},
            "waivers": [waiver.model_dump(mode="json") for waiver in config.gate.waivers],
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }
    target = path(config, stage)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.write_text(json.dumps(statement, indent=1, ensure_ascii=False), encoding="utf-8")
    temporary.replace(target)


def verify(config: Config, stage: Stage) -> dict[str, Any]:
    """The statement, if what it binds is what is here now.

    Raises:
        Refused: there is none, it isn't one, or something differs; the message has one line for each difference.
    """
    target = path(config, stage)
    command = f"pytest --{stage} {config.path.name}"
    try:
        statement = json.loads(target.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(f"no {stage} clearance at {target}; run `{command}` and see it green") from None
    except ValueError as error:
        raise Refused(f"{target} is not readable: {error}; run `{command}` again") from error
    problems = _malformed(statement, stage) or differences(statement, config, stage)
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise Refused(f"the clearance does not cover this run:\n{lines}\nClear it again: {command}")
    return dict(statement)


def identity(statement: Mapping[str, Any]) -> str:
    """One digest for what was cleared, whenever it was: run cards and checkpoints name it."""
    return digests.of_json(sorted((subject["name"], subject["digest"]["sha256"]) for subject in statement["subject"]))


def bind(config: Config, stage: Stage) -> list[Subject]:
    """Descriptors of everything that the outcomes depend on, as it is now.

    Each has name, digest and annotations: what a person wants to read when it differs.
    """
    subjects = [_subject("config", digests.of_json(config.resolved()), resolved=config.resolved())]
    for split, (found, _) in prepare.split_files(config).items():
        subjects += [_file(config, source, kind=split, rows=_rows(config, source)) for source in found]
    try:
        subjects += [_file(config, source, kind="tokenizer") for source in files.tokenizer_files(config)]
        subjects.append(_file(config, files.folder_of(config) / "config.json", kind="model config"))
        subjects += [_file(config, source, kind="weights") for source in files.weight_files(config)]
    except (files.ModelFilesError, OSError) as error:
        raise Refused(str(error)) from error
    subjects += _prepared(config)
    if stage == "postflight":
        for name in (
            "adapter_config.json",
            "adapter_model.safetensors",
            "tokenizer.json",
            "run-card.json",
            "run.jsonl",
        ):
            if (config.output_dir / name).is_file():
                subjects.append(_file(config, config.output_dir / name, kind="trained"))
    return subjects


def differences(statement: Mapping[str, Any], config: Config, stage: Stage) -> list[str]:
    """What differs between a statement and what is here, one sentence each."""
    then = {subject["name"]: subject for subject in statement["subject"]}
    now = {subject["name"]: subject for subject in bind(config, stage)}
    found: list[str] = []
    for name in [*then, *(name for name in now if name not in then)]:
        if name not in now:
            found.append(f"{name} was cleared and is gone")
        elif name not in then:
            found.append(f"{name} is new since the clearance")
        elif then[name]["digest"] != now[name]["digest"]:
            found += _changed(name, then[name], now[name])
    settings = {entry["name"]: entry for entry in statement["predicate"]["configuration"]}
    if settings["checks"]["digest"] != _checks(config, stage):
        found.append("the checks themselves changed")
    found += _changed_values("", settings["versions"]["annotations"], dict(machine.versions()))
    return found


def _changed(name: str, then: Subject, now: Subject) -> list[str]:
    before, after = then.get("annotations", {}), now.get("annotations", {})
    if name == "config":
        return _changed_values("", before["resolved"], after["resolved"]) or ["the config changed"]
    for noun in ("rows", "bytes"):
        if before.get(noun) != after.get(noun):
            return [f"{name} changed: {before.get(noun)} {noun} when cleared, {after.get(noun)} now"]
    return [f"{name} changed: the same size, other content"]


def _changed_values(prefix: str, then: Any, now: Any) -> list[str]:
    """Which keys differ between two nested mappings, as `key: a when cleared, b now`."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        keys = [*then, *(key for key in now if key not in then)]
        return [
            line
            for key in keys
            for line in _changed_values(f"{prefix}{key}.", then.get(key, "not set"), now.get(key, "not set"))
        ]
    return [] if then == now else [f"{prefix.rstrip('.')}: {_word(then)} when cleared, {_word(now)} now"]


def _word(value: Any) -> str:
    return str(value) if isinstance(value, str) else json.dumps(value, default=str)


def _malformed(statement: Any, stage: Stage) -> list[str]:
    """Why this isn't a clearance of this stage; empty if it is."""
    expected = {code for code, meta in registry.shipped().items() if meta.stage == stage}
    try:
        predicate = statement["predicate"]
        outcomes = predicate["outcomes"]
        blocked = [code for code, outcome in outcomes.items() if outcome in ("failed", "error", "not-run")]
        missing = sorted(expected - set(outcomes))
        entries = {entry["name"] for entry in predicate["configuration"] if entry["digest"]}
        named = all(subject["name"] and subject["digest"] for subject in statement["subject"])
        faults = {
            "it is not an in-toto test-result statement": statement["_type"] != STATEMENT
            or statement["predicateType"] != PREDICATE,
            f"it is a {predicate['stage']} clearance": predicate["stage"] != stage,
            "it does not say that everything passed": predicate["result"] != "PASSED"
            or predicate["failedTests"]
            or blocked,
            f"it has no outcome for {', '.join(missing)}": missing,
            "it lacks digests": not named or not entries >= {"checks", "versions"},
        }
    except (KeyError, TypeError, AttributeError) as error:
        return [f"it is incomplete: {error}"]
    return [text for text, wrong in faults.items() if wrong]


def _checks(config: Config, stage: Stage) -> dict[str, str]:
    own = [config.resolve(name) for name in config.gate.checks]
    return {"sha256": registry.digest(meta for meta in registry.load(own).values() if meta.stage == stage)}


def _prepared(config: Config) -> list[Subject]:
    folder = prepare.folder_of(config)
    if not (folder / "meta.json").is_file():
        return []
    opened = prepare.open_prepared(folder)
    return [
        _subject(f"prepared {split.name}", digests.of_file(split.fed), rows=split.rows)
        for split in opened.splits.values()
    ]


def _rows(config: Config, source: Path) -> int | None:
    """Lines of a text file, the way a person counts a dataset; None for other formats."""
    if source.suffix != ".jsonl":
        return None
    with source.open("rb") as stream:
        return sum(1 for line in stream if line.strip())


def _file(config: Config, source: Path, *, kind: str, rows: int | None = None) -> Subject:
    inside = source.is_relative_to(config.folder)
    name = source.relative_to(config.folder).as_posix() if inside else source.as_posix()
    notes: dict[str, Any] = {"kind": kind, "bytes": source.stat().st_size}
    return _subject(name, digests.of_file(source), **(notes if rows is None else {**notes, "rows": rows}))


def _subject(name: str, sha256: str, **annotations: Any) -> Subject:
    return {"name": name, "digest": {"sha256": sha256}, "annotations": annotations}


def _sha(value: Any) -> dict[str, str]:
    return {"sha256": digests.of_json(value)}

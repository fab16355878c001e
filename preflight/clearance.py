"""The clearance: a green verdict, sealed. An in-toto Statement with the test-result predicate.

It binds digests of everything that was judged to the outcomes. The trainer demands one that matches what it is about to
train on. Formats: in-toto Statement v1 and test-result v0.1, as specified by the in-toto attestation framework.
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from preflight import accepted, digests, machine, registry, subjects, verdict
from preflight.config import Config, ConfigError, load_config
from preflight.findings import NotAvailable
from preflight.registry import Check, Stage
from preflight.subjects import Subject, bind
from preflight.target import Target, facts, from_facts, target_of
from preflight.verdict import Result

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
Refused = subjects.Refused  # no clearance, and why


def path(config: Config, stage: Stage) -> Path:
    """Where the clearance of a stage lies."""
    return config.artefacts(stage) / "clearance.json"


def write(config: Config, stage: Stage, results: Mapping[str, Result], *, seen: Mapping[str, Any]) -> None:
    """Seal a green verdict, atomically.

    Args:
        config: The run's config.
        stage: The stage that is green.
        results: One result for each check of the stage.
        seen: `subjects.stamps` from before the first check ran.

    Raises:
        Refused: something changed while the gate ran, or can't be bound any more.
    """
    now = subjects.stamps(config, stage)
    changed = [name for name in {**seen, **now} if seen.get(name) != now.get(name)]
    if config.path.name in changed and _reads_the_same(config):  # only a comment did
        changed.remove(config.path.name)
    if changed:
        raise Refused(f"{', '.join(changed)} changed while the gate ran; run it again")
    bound = bind(config, stage)
    if stage == "preflight" and not any(subject["name"] == "prepared train" for subject in bound):
        raise Refused("the prepared data is gone or no longer fits; run the gate again")
    checks = _checks(config, stage)
    statement = {
        "_type": STATEMENT,
        "subject": bound,
        "predicateType": PREDICATE,
        "predicate": {
            "result": "PASSED",
            "configuration": [
                {"name": "checks", "digest": _sha(checks), "annotations": checks},
                {"name": "versions", "digest": _sha(machine.versions()), "annotations": dict(machine.versions())},
            ],
            "passedTests": [code for code, result in results.items() if result.outcome == "passed"],
            "warnedTests": [code for code, result in results.items() if result.outcome in ("warned", "waived")],
            "failedTests": [],
            # Beyond the predicate's own fields: the machine that was judged, every outcome, and who waived what.
            "stage": stage,
            "target": facts(target_of(config)),
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
    except (OSError, ValueError, RecursionError) as error:
        raise Refused(f"{target} is not readable: {error}; run `{command}` again") from error
    try:
        problems = _malformed(statement, config, stage)
        problems = problems or [*differences(statement, config, stage), *_expired(statement, config)]
    except (KeyError, TypeError, AttributeError) as error:
        problems = [f"it is incomplete: {type(error).__name__}: {error}"]
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise Refused(f"the clearance does not cover this run:\n{lines}\nClear it again: {command}")
    return dict(statement)


def assumed(config: Config) -> Target:
    """The machine that the run was cleared for.

    Raises:
        NotAvailable: there is no clearance that says so.
    """
    try:
        statement = json.loads(path(config, "preflight").read_text(encoding="utf-8"))
        return from_facts(statement["predicate"]["target"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise NotAvailable(f"no clearance says which machine was judged; clear the run again ({error})") from error


def _expired(statement: Mapping[str, Any], config: Config) -> list[str]:
    """Waivers that the verdict rests on and whose date has passed since."""
    outcomes = statement["predicate"]["outcomes"]
    return [
        f"the waiver for {waiver.code} expired on {waiver.expires}"
        for waiver in config.gate.waivers
        if outcomes.get(waiver.code) == "waived" and waiver.expires < date.today()
    ]


def identity(statement: Mapping[str, Any]) -> str:
    """One digest for what was cleared, whenever it was: run cards and checkpoints name it."""
    return digests.of_json(sorted((subject["name"], subject["digest"]["sha256"]) for subject in statement["subject"]))


def differences(statement: Mapping[str, Any], config: Config, stage: Stage) -> list[str]:
    """What differs between a statement and what is here, one sentence each."""
    then = {subject["name"]: subject for subject in statement["subject"]}
    now = {subject["name"]: subject for subject in bind(config, stage)}
    found: list[str] = []
    if stage == "postflight" and accepted.is_of_this_run(config):
        # To accept the run that was cleared replaces what it was compared with, and takes nothing from its verdict.
        for side in (then, now):
            side.pop(subjects.name_of(config, accepted.accepted_path(config)), None)
    for name in [*then, *(name for name in now if name not in then)]:
        if name not in now:
            found.append(f"{name} was cleared and is gone")
        elif name not in then:
            found.append(f"{name} is new since the clearance")
        elif then[name]["digest"] != now[name]["digest"]:
            found += _changed(name, then[name], now[name])
    causes = [line for line in found if not line.startswith("prepared ")]  # the prepared data only follows its sources
    settings = {entry["name"]: entry["annotations"] for entry in statement["predicate"]["configuration"]}
    checks = _checks(config, stage)
    differ = [code for code in {**settings["checks"], **checks} if settings["checks"].get(code) != checks.get(code)]
    return [
        *(causes or found),
        *(f"the check {code} changed" for code in differ),
        *_changed_values("", settings["versions"], dict(machine.versions())),
    ]


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


def _malformed(statement: Any, config: Config, stage: Stage) -> list[str]:
    """Why this isn't a clearance of this stage; empty if it is."""
    if not isinstance(statement, dict):
        return ["it is not a JSON object"]
    predicate = statement["predicate"]
    outcomes = predicate["outcomes"]
    expected = _expected(config, stage)
    missing = [code for code in expected if code not in outcomes]
    blocking = [
        f"{code} {outcomes[code]}"
        for code, meta in expected.items()
        if code in outcomes and outcomes[code] not in _acceptable(meta, config)
    ]
    faults = {
        "it is not an in-toto test-result statement": statement["_type"] != STATEMENT
        or statement["predicateType"] != PREDICATE,
        f"it is a {predicate['stage']} clearance": predicate["stage"] != stage,
        "it does not say that the checks passed": predicate["result"] != "PASSED" or predicate["failedTests"],
        f"it holds an outcome that blocks: {', '.join(blocking)}": blocking,
        f"it has no outcome for {', '.join(missing)}": missing,
        "it lacks digests": not all(each["name"] and each["digest"]["sha256"] for each in statement["subject"]),
    }
    return [text for text, wrong in faults.items() if wrong]


def _acceptable(meta: Check, config: Config) -> set[str]:
    """The outcomes of a check that a green run can have."""
    severity = verdict.in_force(meta.code, meta.severity, config.gate.severity, strict=False)
    return (
        {"passed", "not-applicable"}
        | ({"waived"} if meta.waivable else set())
        | ({"warned", "not-available"} if severity != "required" else set())
    )


def _expected(config: Config, stage: Stage) -> dict[str, Check]:
    """The checks of a stage, the user's own included."""
    try:
        checks = registry.load(map(config.resolve, config.gate.checks))
    except registry.RegistryError as error:
        raise Refused(str(error)) from error
    return {code: meta for code, meta in checks.items() if meta.stage == stage}


def _checks(config: Config, stage: Stage) -> dict[str, str]:
    """The digest of each shipped check's file by its code, and of each file of the user's checks by its name."""
    shipped = {code: meta.path for code, meta in registry.shipped().items() if meta.stage == stage}
    own = {
        subjects.name_of(config, file): file for file in registry.user_files(map(config.resolve, config.gate.checks))
    }
    return {name: digests.of_file(file) for name, file in {**shipped, **own}.items()}


def _reads_the_same(config: Config) -> bool:
    try:
        return load_config(config.path).resolved() == config.resolved()
    except ConfigError:
        return False


def _sha(value: Any) -> dict[str, str]:
    return {"sha256": digests.of_json(value)}

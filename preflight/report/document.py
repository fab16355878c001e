"""`report.json`: one document of a run, from which every other report is drawn."""

import contextlib
import json
import math
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import preflight
from preflight import clearance, machine, verdict
from preflight.config import Config
from preflight.findings import NotAvailable
from preflight.flight.foreign import log_of
from preflight.registry import SECTIONS, Check, Stage
from preflight.report import answers, curves
from preflight.verdict import Result, Verdict

# What the checks after a run leave for the report; none of it may be of another run.
DRAWN = ("samples.json", "scores.json", "general.json", "edges.json", "held_out.json")
DOCS = {"What it checks": "what", "Why it matters": "why", "How to fix": "fix", "Evidence": "evidence"}


def build(
    config: Config,
    *,
    stage: Stage | Literal["flight"],
    verdict: Verdict,
    why: str,
    sealed: bool,
    checks: Mapping[str, Check],
    results: Mapping[str, Result],
    started: datetime,
    seconds: float,
) -> dict[str, Any]:
    """The report of a run as a JSON-able dict; its schema is `preflight/report/schema.json`."""
    return {
        "schema": 1,
        "tool": {"name": "preflight", "version": preflight.__version__},
        "stage": stage,
        "verdict": verdict,
        "why": why,
        "next": next_step(config, stage, verdict),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 2),
        "config": {"path": str(config.path), "name": config.name, "resolved": config.resolved()},
        "digests": _digests(config, stage) if sealed else {},
        "environment": machine.environment(),
        "counts": counts(results),
        "checks": [_check(checks[code], result) for code, result in results.items()],
        "pictures": pictures(config, stage),
    }


def counts(results: Mapping[str, Result]) -> dict[str, int]:
    return verdict.counts(results.values())


def next_step(config: Config, stage: str, verdict: Verdict) -> str:
    """What to do now, as a command or an imperative."""
    name = os.path.relpath(config.path)
    match verdict, stage:
        case "green", "preflight":
            return f"preflight train {name}"
        case "green", "flight":
            return f"pytest --postflight {name}"
        case _, "flight":
            return f"Change what blocks in {name}, then pytest --preflight {name}"
        case "green", "postflight":
            return f"The model in {os.path.relpath(config.output_dir)} may be deployed."
        case "partial", _:
            return f"pytest --{stage} {name}"
    return f"Fix what blocks, then pytest --{stage} {name}"


def write(report: Mapping[str, Any], path: Path) -> None:
    """Write the report atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    text = json.dumps(finite(report), indent=1, ensure_ascii=False, default=str, allow_nan=False)
    temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    temporary.replace(path)


def finite(value: Any) -> Any:
    """The value with NaN and infinities as null, which is all that JSON has for them."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check(meta: Check, result: Result) -> dict[str, Any]:
    return {
        "code": meta.code,
        "name": meta.name,
        "claim": meta.claim,
        "section": f"{meta.section} {SECTIONS[meta.section]}",
        "item": meta.item,
        "severity": result.severity,
        "outcome": result.outcome,
        "reason": result.reason,
        "summary": result.summary,
        "seconds": round(result.seconds, 3),
        "evidence": dict(result.evidence),
        "findings": [dict(finding) for finding in result.findings],
        "docs": {DOCS[heading]: text for heading, text in meta.docs.items()},
    }


def _digests(config: Config, stage: Any) -> dict[str, str]:
    """What the clearance binds."""
    statement = json.loads(clearance.path(config, stage).read_text(encoding="utf-8"))
    return {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}


def pictures(config: Config, stage: str) -> dict[str, Any]:
    """What the HTML report draws, from the artefacts that are there."""
    found: dict[str, Any] = {}
    sources = {"preflight": (_data_pictures,), "flight": (_curves,), "postflight": (_curves, *answers.SOURCES)}
    for source in sources[stage]:
        with contextlib.suppress(Exception):  # no picture is worth a report; a check says what is wrong with its source
            found |= source(config)
    return found


def _curves(config: Config) -> dict[str, Any]:
    log = log_of(config)
    memory = None
    with contextlib.suppress(NotAvailable):
        memory = min((gpu.memory for gpu in clearance.assumed(config).gpus), default=None)
    found = curves.charts(log, memory)
    return {"curves": found} if found else {}


def _data_pictures(config: Config) -> dict[str, Any]:
    """Token lengths of the training split, and a few examples with their supervised text."""
    import numpy as np

    from preflight.data import store

    train = store.open_prepared(store.folder_of(config)).train
    if not train.rows:
        return {}
    values, edges = np.histogram(train.profile["length"], bins="auto" if train.rows > 50 else 10)
    if len(values) > 40:
        values, edges = np.histogram(train.profile["length"], bins=40)
    lengths = {
        "edges": edges.round(1).tolist(),
        "counts": values.tolist(),
        "max_length": config.training_value("max_length"),
    }
    return {"token_lengths": lengths, "label_view": _label_view(config, train)}


def _label_view(config: Config, train: Any, examples: int = 3) -> list[dict[str, Any]]:
    from preflight.data.pieces import pieces
    from preflight.model.tokenizer import load_tokenizer

    backend = load_tokenizer(config).backend
    view = []
    for index in range(0, train.rows, max(train.rows // examples, 1)):
        row = train.examples[index]
        parts = pieces(row["input_ids"], row["labels"], backend)
        shown = [{"text": piece.text, "supervised": piece.supervised} for piece in parts]
        view.append({"row": row["row"], "pieces": shown})
    return view[:examples]

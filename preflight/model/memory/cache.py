"""Traces by content: the same job under the same libraries is traced once a machine."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from preflight.machine import versions

from .job import Job
from .trace import Trace

VERSION = 1  # raise it whenever the same job would be traced to other numbers


def folder() -> Path:
    """Where traces are kept, for all projects of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "finetune-preflight" / "traces"


def cached(job: Job, trace: Callable[[Job], Trace]) -> Trace:
    """The trace of a job, made if it isn't known. A folder that can't be written to costs time and nothing else."""
    known = json.dumps([VERSION, job.key, dict(versions())], sort_keys=True)
    path = folder() / f"{hashlib.sha256(known.encode()).hexdigest()[:32]}.json"
    try:
        return Trace(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        found = trace(job)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(asdict(found)), encoding="utf-8")
        scratch.replace(path)
    except OSError:
        pass
    return found

"""The accepted run: what later runs are compared with. One JSON file, to be committed beside the config.

    {
      "schema": 1,
      "name": "support-bot",            of the run
      "accepted": "2026-01-31",         when, and by whom
      "by": "Ada Lovelace",
      "note": "first one that …",
      "weights": "51b2…",               SHA-256 of the trained weights, and of the run card
      "run_card": "9f0c…",              (null if another trainer did the run)
      "commit": "1c8a…",                what the run was made from, by its run card; null outside a repository
      "versions": {"trl": "1.16.0"},
      "base": {"name": "…", "weights": "77aa…"},
      "data": {"asked": "…", "held_out": "…"},    digests of the files of the questions, and of those of the loss
      "held_out": {"base": 2.1, "tuned": 1.4, "examples": {"0c4f…": {"loss": 1.3, "tokens": 17}, …}},
      "metrics": {"accuracy": {"title": "Accuracy", "tuned": {"value": 0.84, "low": 0.78, "high": 0.9}, …}},
      "measured": {"POST-104": {"stopped": 64}}    numbers that checks of the postflight saw
    }

Keys are sorted and numbers have six digits after the point, so that two versions of the file differ where the runs do.
"""

import json
import math
import os
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from preflight import digests
from preflight.config import Config
from preflight.findings import NotAvailable

Number = int | Annotated[float, Field(allow_inf_nan=False), AfterValidator(lambda value: round(value, 6))]


class AcceptedError(Exception):
    """A file of an accepted run that can't be read; the message says why."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Interval(_Part):
    """A value and its 95 % interval."""

    value: Number
    low: Number | None = None
    high: Number | None = None


class Metric(_Part):
    """What base and tuned model scored.

    Attributes:
        title: Its name in words.
        higher_is_better: Whether more of it is better.
        top: The best or worst value that there can be; None if there is none.
        mean: Whether it is the mean of the values of `examples`.
        n: Examples scored.
        base: The base model's score.
        tuned: The tuned model's score.
        examples: Its value for each prompt, by the key of the prompt.
    """

    title: str
    higher_is_better: bool
    top: Number | None = None
    mean: bool = True
    n: int
    base: Interval | None = None
    tuned: Interval
    examples: dict[str, Number] = {}


class Example(_Part):
    """The tuned model's loss on an example, and how many tokens it is the mean of."""

    loss: Number
    tokens: int


class Loss(_Part):
    """Held-out loss in nats a token, and that of each example, by the digest of its text."""

    base: Number
    tuned: Number
    examples: dict[str, Example] = {}


class Base(_Part):
    """The base model: its name in the config, and a digest of its weights."""

    name: str
    weights: str


class Data(_Part):
    """Digests of the files that questions come from, and of those that the held-out loss is of."""

    asked: str
    held_out: str


class Accepted(_Part):
    """An accepted run; the fields stand above."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    name: str
    accepted: date
    by: str
    note: str = ""
    weights: str
    run_card: str | None = None
    commit: str | None = None
    versions: dict[str, str]
    base: Base
    data: Data
    held_out: Loss | None = None
    metrics: dict[str, Metric] = {}
    measured: dict[str, dict[str, Number]] = {}


def accepted_path(config: Config) -> Path:
    """Where the accepted run of a config stands: `evaluation.accepted`, or else `accepted/NAME.json`."""
    if config.evaluation.accepted is not None:
        return config.resolve(config.evaluation.accepted)
    name = re.sub(r"[^\w.-]+", "-", config.name).strip(".-") or "run"  # a name may hold what a file's name can't
    return config.folder / "accepted" / f"{name}.json"


def read(path: Path) -> Accepted | None:
    """The accepted run; None if there is none.

    Raises:
        AcceptedError: there is one, and it can't be read.
    """
    try:
        return Accepted.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AcceptedError(f"can't be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise AcceptedError(f"{place}: {first['msg']}" if place else first["msg"]) from error


def write(run: Accepted, path: Path) -> None:
    """Write it whole or not at all, in an order that depends on nothing but what it says."""
    values = run.model_dump(mode="json", by_alias=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        text = json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def is_of_this_run(config: Config) -> bool:
    """Whether the accepted run is the one in the output folder."""
    try:
        found = read(accepted_path(config))
        return found is not None and found.weights == weights_of(config)
    except (AcceptedError, NotAvailable, OSError):
        return False


def weights_of(config: Config) -> str:
    """Digest of the trained weights: of the adapter, or of a whole model.

    Raises:
        NotAvailable: there are none.
    """
    pattern = "model*.safetensors" if config.lora is None else "adapter_model.safetensors"
    found = sorted(config.output_dir.glob(pattern))
    if not found:
        raise NotAvailable(f"no {pattern} in {config.output_dir}; run preflight train {config.path.name}")
    return _of_contents(found)


def base_of(config: Config) -> Base:
    """The base model."""
    from preflight.model import files

    name = config.model.name_or_path
    shown = Path(name).name if name.startswith(("/", "~")) else name  # the file is committed: no path of a machine
    return Base(name=shown, weights=_of_contents(files.weight_files(config)))


def data_of(config: Config) -> Data:
    """What the model is asked, and what its held-out loss is of. Without a file of its own that is held out, the data
    that it is split from.
    """
    from preflight.data import store

    splits = store.split_files(config)
    held_out, _ = splits.get("validation", splits["train"])
    asked = [config.resolve(config.evaluation.data)] if config.evaluation.data else held_out
    try:
        return Data(asked=_of_contents(asked), held_out=_of_contents(held_out))
    except OSError as error:
        raise NotAvailable(f"{error.filename}: {error.strerror}") from error


def _of_contents(paths: Iterable[Path]) -> str:
    """The same wherever the files lie and whatever they are called."""
    return digests.of_json(sorted(map(digests.of_file, paths)))


def metrics_of(scores: Any) -> dict[str, Metric]:
    """The metrics of `scores.json` by name. One whose score is no number is left out; the postflight says why."""
    listed = scores.get("metrics") if isinstance(scores, dict) else None
    found: dict[str, Metric] = {}
    for entry in listed if isinstance(listed, list) else []:
        base: Any = entry.get("base") or {}
        examples = {key: value for key, value in (entry.get("examples") or {}).items() if value is not None}
        known = {key: entry[key] for key in ("title", "higher_is_better", "top", "mean", "n") if key in entry}
        if (entry.get("tuned") or {}).get("value") is not None:
            found[entry["name"]] = Metric(
                **known, base=base if base.get("value") is not None else None, tuned=entry["tuned"], examples=examples
            )
    return found


def loss_of(held_out: Any) -> Loss | None:
    """The held-out loss of `held_out.json`, or of the fixture as a dict; None if it is empty or no number."""
    rows = list(zip(held_out["keys"], held_out["base"], held_out["tuned"], held_out["tokens"], strict=True))
    total = sum(tokens for *_, tokens in rows)
    if not total or not all(isinstance(loss, float) and math.isfinite(loss) for _, *pair, _ in rows for loss in pair):
        return None
    base, tuned = (math.fsum(row[side] * row[3] for row in rows) / total for side in (1, 2))
    examples = {key: Example(loss=loss, tokens=tokens) for key, _, loss, tokens in rows}
    return Loss(base=base, tuned=tuned, examples=examples)


def numbers_of(evidence: Any) -> dict[str, float]:
    """The plain numbers among what a check saw, but for times, which no two runs have in common."""
    values = evidence if isinstance(evidence, dict) else {}
    kept = {key: value for key, value in values.items() if type(value) in (int, float) and "seconds" not in key}
    return {key: value for key, value in kept.items() if math.isfinite(value)}

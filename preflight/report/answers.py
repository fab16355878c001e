"""What the checks after a run leave, small enough for a page: scores, lengths, what got worse, and all answers.

Each function reads artefacts of the postflight and returns a part of `pictures` in `report.json`; nothing if there is
nothing to show. It raises where an artefact is missing or not what it should be: then there is no picture of it.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from preflight.config import Config

MOST_BINS = 30
MOST_WORSE = 10  # answers that got worse; half as many texts and prompts
LEAST = 0.01  # nats a token that are worth a line

RATE = {"value": float, "low": float, "high": float}
SCORE = {
    "name": str,
    "title": str,
    "higher_is_better": bool,
    "top": float,
    "n": int,
    "wanted": int,
    "base": RATE,
    "tuned": RATE,
    "difference": RATE,
}
SAMPLE = {"where": str, "prompt": str, "expected": str, "base": str, "tuned": str, "stopped": bool}
TEXT = {"key": str, "kind": str, "text": str, "base": float, "tuned": float, "tokens": int}
PROMPT = {"key": str, "prompt": str, "base": str, "kl": float}
NEEDED = {
    "scores": ("name", "title", "higher_is_better", "base", "tuned"),
    "samples": ("prompt", "tuned"),
    "worse": ("prompt", "tuned", "scores"),
    "general_texts": ("text", "base", "tuned"),
    "general_prompts": ("prompt", "kl"),
    "edge_cases": ("name", "prompt"),
}
CASE = {"name": str, "prompt": str, "base": str, "tuned": str, "stopped": bool, "fault": str}


def scores(config: Config) -> dict[str, Any]:
    """Each metric of base and tuned model, and their difference, with intervals."""
    return _some("scores", (_only(metric, SCORE) for metric in _read(config, "scores.json")["metrics"]))


def samples(config: Config) -> dict[str, Any]:
    """All that was asked, and what came."""
    return _some("samples", (_only(sample, SAMPLE) for sample in _read(config, "samples.json")))


def lengths(config: Config) -> dict[str, Any]:
    """Tokens of expected, base and tuned answers, in bins that all three share."""
    import numpy as np

    asked = _read(config, "samples.json")
    found = {kind: [int(sample[f"{kind}_tokens"]) for sample in asked] for kind in ("expected", "base", "tuned")}
    every = [length for kind in found.values() for length in kind]
    if not every:
        return {}
    step = math.ceil((max(every) - min(every) + 1) / MOST_BINS)
    edges = np.arange(min(every), max(every) + step + 1, step)
    counts = {kind: np.histogram(values, bins=edges)[0].tolist() for kind, values in found.items()}
    return {"answer_lengths": {"edges": edges.tolist(), **counts}}


def worse(config: Config) -> dict[str, Any]:
    """The answers whose scores fell most below the base model's, worst first; each prompt once."""
    from preflight.evaluation.scores import key_of

    asked = {key_of(str(sample["prompt"])): sample for sample in _read(config, "samples.json")}
    falls: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for metric in _read(config, "scores.json")["metrics"]:
        before, after = _numbers(metric["base_examples"]), _numbers(metric["examples"])
        # Metrics have scales of their own: a fall counts as a share of the most that there can be, or is.
        most = metric["top"] or max(map(abs, [*before.values(), *after.values()]), default=1) or 1
        for key in before.keys() & after.keys() & asked.keys():
            rise = after[key] - before[key]
            fall = (-rise if metric["higher_is_better"] else rise) / most
            if fall > 0:
                score = {"metric": str(metric["title"]), "base": before[key], "tuned": after[key]}
                falls.setdefault(key, []).append((fall, score))
    deepest = {key: max(fall for fall, _ in each) for key, each in falls.items()}
    worst = sorted(deepest, key=lambda key: (-deepest[key], key))[:MOST_WORSE]
    return _some("worse", ({**_only(asked[key], SAMPLE), "scores": [it for _, it in falls[key]]} for key in worst))


def general(config: Config) -> dict[str, Any]:
    """Texts on which the loss rose most, and neutral prompts after which the two models differ most."""
    found = _read(config, "general.json")
    read = [text for text in found["passages"] if text["base"] is not None and text["tuned"] is not None]
    risen = [text for text in read if text["tuned"] - text["base"] >= LEAST]
    risen.sort(key=lambda text: float(text["base"] - text["tuned"]))
    differing = [prompt for prompt in found["prompts"] if prompt["kl"] is not None and prompt["kl"] >= LEAST]
    differing.sort(key=lambda prompt: -float(prompt["kl"]))
    texts = _some("general_texts", (_only(text, TEXT) for text in risen[: MOST_WORSE // 2]))
    return texts | _some("general_prompts", (_only(prompt, PROMPT) for prompt in differing[: MOST_WORSE // 2]))


def edges(config: Config) -> dict[str, Any]:
    """The edge cases, those with a fault first."""
    cases = [_only(case, CASE) for case in _read(config, "edges.json")["cases"]]
    return _some("edge_cases", sorted(cases, key=lambda case: not case.get("fault")))


SOURCES = (scores, samples, lengths, worse, general, edges)


def _read(config: Config, name: str) -> Any:
    """An artefact; what is no finite number is None."""
    text = (config.artefacts("postflight") / name).read_text(encoding="utf-8")
    return json.loads(text, parse_constant=lambda _: None)


def _some(name: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The rows under a name, if there are any.

    Raises:
        LookupError: one lacks what it is of no use without.
    """
    found = list(rows)
    if lacking := [key for row in found for key in NEEDED[name] if key not in row]:
        raise LookupError(f"{name}: {lacking[0]} is missing")
    return {name: found} if found else {}


def _only(entry: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that are shown, those that are given.

    Raises:
        TypeError: one is of another kind than its own.
    """
    return {key: _as(kind, entry[key]) for key, kind in kinds.items() if entry.get(key) is not None}


def _as(kind: Any, value: Any) -> Any:
    if isinstance(kind, Mapping):
        return _only(value, kind)
    good = type(value) in (int, float) if kind is float else type(value) is kind
    if not good:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items() if value is not None}

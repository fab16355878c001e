"""Waivers: accepting a finding by name, with a reason, a signature and a date."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from preflight.config import Config
from preflight.registry import Check

WAIVER_CHECK = "META-001"


@dataclass(frozen=True)
class Waivers:
    """The waivers in force, and where each stands in the config.

    Attributes:
        by_code: Waivers that may waive: the check is known and waivable, the date has not passed.
        places: `file:line` of each of them.
        refused: Why the others may not, as (place, code, reason).
    """

    by_code: Mapping[str, Any]
    places: Mapping[str, str]
    refused: tuple[tuple[str, str, str], ...]

    def get(self, code: str) -> Any:
        return self.by_code.get(code)

    @classmethod
    def of(cls, config: Config, checks: Mapping[str, Check], today: date | None = None) -> "Waivers":
        """Sort the config's waivers into those that count and those that don't.

        Args:
            config: The run's config.
            checks: The checks of this stage. A waiver for a check of the other stage is left alone.
            today: For tests.
        """
        from preflight import registry

        known = {**registry.shipped(), **checks}
        by_code: dict[str, Any] = {}
        places: dict[str, str] = {}
        refused: list[tuple[str, str, str]] = []
        for index, waiver in enumerate(config.gate.waivers):
            place = config.where(f"gate.waivers[{index}]")
            if waiver.code not in known:
                refused.append((place, waiver.code, f"there is no check {waiver.code}"))
            elif not known[waiver.code].waivable:
                refused.append((place, waiver.code, f"{waiver.code} can't be waived: {known[waiver.code].summary}"))
            elif waiver.expires < (today or date.today()):
                refused.append((place, waiver.code, f"the waiver for {waiver.code} expired on {waiver.expires}"))
            elif waiver.code in checks:
                by_code[waiver.code], places[waiver.code] = waiver, place
        return cls(by_code, places, tuple(refused))


def judge_gate_section(config: Config, checks: Mapping[str, Check]) -> list[str]:
    """Errors in `gate.severity` and `gate.thresholds` that only the registry can see, one line each."""
    problems = []
    for section in ("severity", "thresholds"):
        for code in getattr(config.gate, section):
            if code not in checks:
                problems.append(_problem(config, f"gate.{section}.{code}", f"there is no check {code}", code, checks))
    for code, severity in config.gate.severity.items():
        meta = checks.get(code)
        if meta and not meta.waivable and severity != "required":
            problems.append(_problem(config, f"gate.severity.{code}", f"{code} can't be lowered: {meta.summary}"))
    for code, limits in config.gate.thresholds.items():
        known = checks[code].thresholds if code in checks else limits
        for name, value in limits.items():
            key = f"gate.thresholds.{code}.{name}"
            if name not in known:
                text = f"{code} has no threshold {name!r}; it has {', '.join(known) or 'none'}"
                problems.append(_problem(config, key, text))
            elif _is_number(known[name]) and not _is_number(value):
                problems.append(_problem(config, key, f"expected a number such as {known[name]}, got {value!r}"))
    return problems


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _problem(config: Config, key: str, text: str, word: str = "", known: Mapping[str, Any] | None = None) -> str:
    near = difflib.get_close_matches(word, known or (), n=1)
    hint = f". Did you mean {near[0]}?" if near else ""
    return f"{config.where(key)}: {key}: {text}{hint}"

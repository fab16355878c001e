"""The HTML report: one self-contained page made from the dict of ``report.json``.

Text in a report can come from data rows, so none of it is trusted: the template escapes everything, and characters
that would be invisible or reorder the line are replaced by visible marks before they get there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, Template
from markupsafe import Markup

from preflight.report.pictures import FRAME, forest, histogram, line_chart, number, steps

TEMPLATES = ("report.html.jinja", "answers.html.jinja", "style.css.jinja")
LOOKS = {  # outcome: (icon, tone); whatever is unknown looks as serious as a failure
    "failed": ("✗", "bad"),
    "error": ("✗", "bad"),
    "not-run": ("✗", "bad"),
    "not-available": ("?", "warn"),
    "warned": ("!", "warn"),
    "waived": ("~", "warn"),
    "passed": ("✓", "good"),
    "not-applicable": ("–", "mute"),
}
MOST_SAMPLES = 300  # shown; report.json has all
LONGEST_TEXT = 20_000  # characters of one value shown; report.json has the whole
KEPT = "\n\t\u200c\u200d"  # line breaks, tabs, and the joiners that scripts and emoji need


def visible(text: str) -> str:
    """Replace control, bidirectional and other invisible characters by marks that can be seen."""
    return "".join(c if c.isprintable() or c in KEPT else _mark(c) for c in text)


def _mark(char: str) -> str:
    return f"⟨U+{ord(char):04X}⟩" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char


def duration(seconds: Any) -> str:
    """Write seconds the way people say them: ``0.04 s``, ``12.3 s``, ``2 min 05 s``, ``1 h 02 min``."""
    value = number(seconds)
    if not math.isfinite(value):
        return ""
    if value < 60:
        return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def plain(value: Any) -> str:
    """Write any value as text: strings as they are, the rest as JSON, on one line if it's short."""
    if isinstance(value, str):
        return value
    short = json.dumps(value, ensure_ascii=False, default=str)
    return short if len(short) <= 90 else json.dumps(value, ensure_ascii=False, default=str, indent=2)


def _finish(value: Any) -> Any:
    """Prepare one template expression for escaping (markup made by the template's own macros passes)."""
    text = "" if value is None else str(value)
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}… ({len(text) - LONGEST_TEXT:,} more characters in report.json)"
    return value if isinstance(value, Markup) else visible(text)


def _blocks(check: Mapping[str, Any]) -> bool:
    required_gap = check.get("outcome") == "not-available" and check.get("severity") == "required"
    return required_gap or LOOKS.get(str(check.get("outcome")), ("", "bad"))[1] == "bad"


def _grouped(checks: Iterable[dict[str, Any]], key: str) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for check in checks:
        groups.setdefault(str(check.get(key) or ""), []).append(check)
    return groups


@lru_cache(maxsize=1)
def _template() -> Template:
    pages = DictLoader({name: files(__package__).joinpath(name).read_text("utf-8") for name in TEMPLATES})
    environment = Environment(loader=pages, autoescape=True, finalize=_finish, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"duration": duration, "plain": plain}
    environment.filters["digest"] = lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    environment.globals |= {"line_chart": line_chart, "histogram": histogram, "steps": steps, "forest": forest}
    environment.globals |= {"looks": LOOKS, "frame": FRAME, "most_samples": MOST_SAMPLES}
    return environment.get_template("report.html.jinja")


def render_html(report: Mapping[str, Any]) -> str:
    """Render the dict of ``report.json`` as one page that needs neither network nor other files."""
    checks = [dict(c, id=f"check-{n}", blocks=_blocks(c)) for n, c in enumerate(report.get("checks") or [], 1)]
    blocking = [check for check in checks if check["blocks"]]
    return _template().render(
        report=report,
        sections=_grouped(checks, "section"),
        blocking=[c for c in blocking if c.get("outcome") != "not-run" or c.get("findings")],
        not_run=_grouped((c for c in blocking if c.get("outcome") == "not-run" and not c.get("findings")), "reason"),
        pictures=report.get("pictures") or {},
    )


def write_html(report: Mapping[str, Any], path: Path) -> None:
    """Write the page; a reader of ``path`` finds the old page or the new one, never half of one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(render_html(report), encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)

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
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

from jinja2 import Environment, Template
from markupsafe import Markup

SECOND = itemgetter(1)
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
LONGEST_TEXT = 20_000  # characters of one value shown; report.json has the whole
MOST_POINTS = 600  # of one line in a chart
FEW = 24  # points of a line; each is marked
STYLES = ("solid", "dashed", "dotted")  # of the lines of a chart
FRAME = {"width": 480, "height": 250, "left": 56, "right": 454, "top": 14, "floor": 212}  # of a chart, in SVG units
KEPT = "\n\t\u200c\u200d"  # line breaks, tabs, and the joiners that scripts and emoji need


def visible(text: str) -> str:
    """Replace control, bidirectional and other invisible characters by marks that can be seen."""
    return "".join(c if c.isprintable() or c in KEPT else _mark(c) for c in text)


def _mark(char: str) -> str:
    return f"⟨U+{ord(char):04X}⟩" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char


def duration(seconds: Any) -> str:
    """Write seconds the way people say them: ``0.04 s``, ``12.3 s``, ``2 min 05 s``, ``1 h 02 min``."""
    value = _number(seconds)
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


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e15 else math.nan


def _short(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.3g}"


def _ticks(low: float, span: float) -> list[float]:
    power = 10.0 ** math.floor(math.log10(span / 5))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= span / 5 * 0.999)
    return [n * step for n in range(math.ceil(low / step - 1e-9), math.floor((low + span) / step + 1e-9) + 1)]


class _Axes:
    """Maps values to the drawing, and lists the labelled ticks."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self.x0, self.y0 = min(xs), min(ys)
        self.width = max(xs) - self.x0 or abs(self.x0) or 1
        self.height = max(ys) - self.y0 or abs(self.y0) or 1
        self.x_ticks = [(self.x(v), f"{v:,g}") for v in _ticks(self.x0, self.width)]
        self.y_ticks = [(self.y(v), f"{v:,g}") for v in _ticks(self.y0, self.height)]

    def x(self, value: float) -> float:
        return round(FRAME["left"] + (value - self.x0) / self.width * (FRAME["right"] - FRAME["left"]), 1)

    def y(self, value: float) -> float:
        return round(FRAME["floor"] - (value - self.y0) / self.height * (FRAME["floor"] - FRAME["top"]), 1)


def _thin(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Keep the lowest and highest point of each stretch: peaks survive, the page stays small."""
    size = -(-2 * len(points) // MOST_POINTS)
    chunks = (points[i : i + size] for i in range(0, len(points), size))
    return [p for c in chunks for p in sorted({min(c, key=SECOND), max(c, key=SECOND)})] if size > 2 else points


def line_chart(chart: Mapping[str, Any]) -> dict[str, Any] | None:
    """Lay out curves; a value that isn't a finite number leaves a gap and is named."""
    series, broken, lines, told = [], set(), [], []
    for line in chart.get("lines") or []:
        both = zip(line.get("steps") or [], line.get("values") or [], strict=False)
        points = [(x, _number(y)) for x, y in both if math.isfinite(_number(x))]
        runs = [list(run) for good, run in groupby(points, lambda p: math.isfinite(p[1])) if good]
        broken |= {x for x, y in points if not math.isfinite(y)}
        if runs:
            series.append((str(line.get("name")), runs))
    if not series:
        return None
    xs, ys = zip(*(point for _, runs in series for run in runs for point in run), strict=True)
    limit = _number((chart.get("limit") or {}).get("value"))
    marks = [value for value in (_number(chart.get("floor")), limit) if math.isfinite(value)]
    axes = _Axes(xs, [*ys, *marks])
    for (name, runs), style in zip(series, STYLES, strict=False):
        drawn = [[f"{axes.x(x)} {axes.y(y)}" for x, y in _thin(run)] for run in runs]
        path = "".join(f"M{'L'.join(run)}" for run in drawn if len(run) > 1)
        few = sum(map(len, drawn)) <= FEW
        dots = [p.split() for run in drawn for p in run if few or len(run) == 1]
        lines.append({"name": name, "style": style, "d": path, "dots": dots[:MOST_POINTS]})
        points = [point for run in runs for point in run]
        (low_at, low), (high_at, high) = min(points, key=SECOND), max(points, key=SECOND)
        ends = f"{name} {_short(points[0][1])} to {_short(points[-1][1])}"
        told.append(f"{ends}, lowest {_short(low)} at step {low_at:.0f}, highest {_short(high)} at step {high_at:.0f}")
    text = "; ".join(told) + (f" ({unit})" if (unit := chart.get("unit")) else "")
    mark = (axes.y(limit), f"{chart['limit'].get('name')}: {_short(limit)}") if math.isfinite(limit) else None
    return {"axes": axes, "lines": lines, "text": text, "broken": [f"{x:.0f}" for x in sorted(broken)], "limit": mark}


def histogram(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Lay out the token lengths, with the limit; bars wholly beyond the limit are marked."""
    edges = [_number(edge) for edge in data.get("edges") or []]
    counts = [max(0.0, _number(count)) for count in data.get("counts") or []]
    bins = list(zip(pairwise(edges), counts, strict=False))
    if not bins or not all(map(math.isfinite, edges + counts)) or not any(counts):
        return None
    limit = _number(data.get("max_length"))
    axes = _Axes(edges + ([limit] if math.isfinite(limit) else []), [0, *counts])
    bars = []
    for (low, high), count in bins:
        left, top = axes.x(low), axes.y(count)
        box = {"x": left, "y": top, "width": max(0.5, axes.x(high) - left - 1), "height": FRAME["floor"] - top}
        bars.append({"box": box, "over": low >= limit, "text": f"{low:g} to {high:g} tokens: {count:,.0f}"})
    (low, high), most = max(bins, key=SECOND)
    text = f"{sum(counts):,.0f} examples; most ({most:,.0f}) between {low:g} and {high:g} tokens"
    mark = (axes.x(limit), f"max_length {limit:g}") if math.isfinite(limit) else None
    return {"axes": axes, "bars": bars, "text": text, "limit": mark}


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
    environment = Environment(autoescape=True, finalize=_finish, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"duration": duration, "plain": plain}
    environment.filters["digest"] = lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    environment.globals |= {"line_chart": line_chart, "histogram": histogram, "looks": LOOKS, "frame": FRAME}
    return environment.from_string(files(__package__).joinpath("report.html.jinja").read_text("utf-8"))


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

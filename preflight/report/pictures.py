"""Where everything in a picture of the HTML report goes: SVG units and words, no markup.

What comes from a report may be damaged: a value that can't be drawn leaves a gap, and a picture of nothing is None.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

from preflight.findings import counted

SECOND = itemgetter(1)
MOST_POINTS = 600  # of one line in a chart
FEW = 24  # points of a line; each is marked
STYLES = ("solid", "dashed", "dotted")  # of the lines of a chart
FRAME = {"width": 480, "height": 250, "left": 56, "right": 454, "top": 14, "floor": 212}  # of a chart, in SVG units
VALUES, CHANGES = (16, 292), (336, 464)  # where the two panels of a forest plot begin and end
HEAD, ROW, FOOT = 20, 54, 32  # heights: of what stands above its rows, of a row, and of the numbers below
TINY = 1e-9  # below which a difference isn't drawn
LETTER = 6.6  # width of a letter, on average


def number(value: Any) -> float:
    """The value as a finite float of a size that can be drawn; NaN for anything else."""
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
        points = [(x, number(y)) for x, y in both if math.isfinite(number(x))]
        runs = [list(run) for good, run in groupby(points, lambda p: math.isfinite(p[1])) if good]
        broken |= {x for x, y in points if not math.isfinite(y)}
        if runs:
            series.append((str(line.get("name")), runs))
    if not series:
        return None
    xs, ys = zip(*(point for _, runs in series for run in runs for point in run), strict=True)
    limit = number((chart.get("limit") or {}).get("value"))
    marks = [value for value in (number(chart.get("floor")), limit) if math.isfinite(value)]
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
    edges = [number(edge) for edge in data.get("edges") or []]
    counts = [max(0.0, number(count)) for count in data.get("counts") or []]
    bins = list(zip(pairwise(edges), counts, strict=False))
    if not bins or not all(map(math.isfinite, edges + counts)) or not any(counts):
        return None
    limit = number(data.get("max_length"))
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


def steps(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Lay out the token lengths of tuned, base and expected answers as outlines over the same bins."""
    edges = [number(edge) for edge in data.get("edges") or []]
    found = {name: [number(count) for count in data.get(name) or []] for name in ("tuned", "base", "expected")}
    every = [count for counts in found.values() for count in counts]
    if not all(map(math.isfinite, [*edges, *every])) or any(len(counts) != len(edges) - 1 for counts in found.values()):
        return None
    if not any(count > 0 for count in every):
        return None
    axes = _Axes(edges, [0, *every])
    lines, told = [], []
    for (name, counts), style in zip(found.items(), STYLES, strict=False):
        bins = list(zip(pairwise(edges), counts, strict=True))
        runs = [
            list(run) for some, run in groupby(bins, lambda it: it[1] > 0) if some
        ]  # three floors would be one line
        outlines = [
            [(run[0][0][0], 0.0), *((edge, count) for ends, count in run for edge in ends), (run[-1][0][1], 0.0)]
            for run in runs
        ]
        path = "".join(f"M{'L'.join(f'{axes.x(x)} {axes.y(y)}' for x, y in outline)}" for outline in outlines)
        lines.append({"name": name, "style": style, "d": path})
        first, last = (runs[0][0][0][0], runs[-1][-1][0][1] - 1) if runs else (0, 0)
        told += [f"{name} {first:g}{f' to {last:g}' if last > first else ''}"] if runs else []
    return {"axes": axes, "lines": lines, "text": f"Tokens: {'; '.join(told)}"}


def forest(metrics: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Lay out scores with their intervals and differences.

    What goes from 0 to 1 shares a scale; whatever else there is has one of its own. Scales stand one below the other.
    """
    rows = [row for metric in metrics if (row := scored(metric))]
    shared = [row for row in rows if row["percent"]]
    groups, top = [], HEAD
    for group in ([shared] if shared else []) + [[row] for row in rows if not row["percent"]]:
        groups.append(_scaled(group, top))
        top = groups[-1]["floor"] + FOOT
    return {"groups": groups, "height": top, "texts": [row["text"] for row in rows]} if rows else None


def scored(metric: Mapping[str, Any]) -> dict[str, Any] | None:
    """A metric as base, tuned and difference, each (value, low, high), and in words; None without two scores."""
    sides = [_interval(metric.get(side) or {}) for side in ("base", "tuned", "difference")]
    base, tuned, change = sides
    if base is None or tuned is None:
        return None
    change = change or (tuned[0] - base[0], math.nan, math.nan)
    percent = metric.get("top") == 1 and all(0 <= end <= 1 for side in (base, tuned) for end in _finite(side))
    up = bool(metric.get("higher_is_better", True))
    better, worse = (change[1] > 0, change[2] < 0) if up else (change[2] < 0, change[1] > 0)
    tone = "better" if better else "worse" if worse else "unclear"
    name = metric.get("title") or metric.get("name")
    title = f"{name}{'' if up else ' (lower is better)'}"
    short = f"{_written(base[0], percent)} → {_written(tuned[0], percent)}"
    words = {"better": "better", "worse": "worse", "unclear": "no sure change"}[tone]
    shift_words = f"{100 * change[0]:+.1f} points" if percent else f"{change[0]:+.3g}"
    count, wanted = number(metric.get("n")), number(metric.get("wanted"))
    sample = f", a sample of {wanted:,.0f}" if count < wanted else ""
    line = f"{name}: {_written(base[0], percent)} → {_ranged(tuned, percent)}, {words}"
    text = f"{title}: base {_ranged(base, percent)}, tuned {_ranged(tuned, percent)}, difference {shift_words}: {words}"
    return {
        "title": title,
        "short": short,
        "base": base,
        "tuned": tuned,
        "change": change,
        "tone": tone,
        "percent": percent,
        "line": line,
        "text": text + (f" ({counted(int(count), 'example')}{sample})" if math.isfinite(count) else ""),
    }


def _scaled(rows: Sequence[dict[str, Any]], top: int) -> dict[str, Any]:
    """The rows of one scale, from a height downwards."""
    percent = bool(rows[0]["percent"])
    ends = [0.0, 1.0] if percent else [end for row in rows for end in _finite((*row["base"], *row["tuned"]))]
    reach = max(abs(end) for row in rows for end in _finite(row["change"]))
    reach = reach if reach > TINY else 1
    place, change = _scale(VALUES, min(ends), max(ends)), _scale(CHANGES, -reach, reach)
    near = max(value for value in _ticks(0, reach))  # zero is one of them, and the last is above it
    drawn = []
    for y, row in zip(range(top, top + ROW * len(rows), ROW), rows, strict=True):
        most = int((CHANGES[1] - VALUES[0]) / LETTER - len(row["short"]) - 2)
        drawn.append(
            {
                "title": row["title"] if len(row["title"]) <= most else row["title"][: most - 1] + "…",
                "full": row["title"],
                "short": row["short"],
                "y": y,
                "tone": row["tone"],
                "base": _whisker(row["base"], place, y + 27),
                "tuned": _whisker(row["tuned"], place, y + 41),
                "change": _whisker(row["change"], change, y + 34),
            }
        )
    span = max(ends) - min(ends)
    values = _ticks(min(ends), span) if span > TINY * max(1, *map(abs, ends)) else [ends[0]]
    return {
        "rows": drawn,
        "ticks": [(place(value), f"{100 * value:.0f} %" if percent else f"{value:,g}") for value in values],
        "changes": [(change(value), _signed(value, percent)) for value in (-near, 0.0, near)],
        "floor": top + ROW * len(rows),
    }


def _scale(panel: tuple[int, int], low: float, high: float) -> Callable[[float], float]:
    """Where a value goes in a panel, with some room at both ends."""
    apart = high - low > TINY * max(1, abs(low), abs(high))
    room = (high - low) * 0.04 if apart else abs(high) * 0.04 or 1
    low, span = low - room, high - low + 2 * room
    return lambda value: round(panel[0] + (value - low) / span * (panel[1] - panel[0]), 1)


def _whisker(interval: tuple[float, float, float], place: Callable[[float], float], y: int) -> dict[str, Any]:
    value, *ends = interval
    line = f"M{place(ends[0])} {y}L{place(ends[1])} {y}" if len(_finite(ends)) == 2 else ""
    return {"x": place(value), "y": y, "d": line}


def _interval(side: Mapping[str, Any]) -> tuple[float, float, float] | None:
    value, low, high = (number(side.get(key)) for key in ("value", "low", "high"))
    return (value, low, high) if math.isfinite(value) else None


def _written(value: float, percent: bool) -> str:
    return f"{100 * value:.1f} %" if percent else _short(value)


def _signed(value: float, percent: bool) -> str:
    return "0" if not value else f"{100 * value:+g}" if percent else f"{value:+,g}"


def _ranged(interval: tuple[float, float, float], percent: bool) -> str:
    value, *ends = interval
    low, high = (f"{100 * end:.1f}" if percent else _short(end) for end in ends)
    reach = f" ({low} to {high})" if len(_finite(ends)) == 2 else ""
    return _written(value, percent) + reach


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]

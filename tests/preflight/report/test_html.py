"""The HTML report: escaping, structure, drawings, and how it behaves in a real browser."""

import base64
import hashlib
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from preflight.report.html import LOOKS, duration, histogram, line_chart, render_html, visible, write_html
from tests.browser import CONTRAST

VOID = {"meta", "link", "input", "br"}
OUTCOMES = ["passed", "failed", "warned", "waived", "not-applicable", "not-available", "not-run", "error"]
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "end of style": "</style><img src=x onerror=alert(1)>",
    "end of script": "</script><!--",
    "attribute quotes": "\" onload='alert(1)' autofocus x=`",
    "template": "{{ 7 * 7 }}{% raw %}{# x #}",
    "entities": "&lt;b&gt; &#0; &amp",
    "line separators": "one\u2028two\u2029three\x85four",
    "control characters": "nul \x00 escape \x1b[31m bell \x07 delete \x7f",
    "bidirectional": "\u202egpj.exe\u202c \u2066x\u2069 \u200f",
    "lone surrogate": "half \ud83d of a pair",
    "unbroken": "W" * 3000,
    "css": "red;background:url(https://example.org/x)",
    "address": "javascript:alert(1)",
}


def check(number: int, outcome: str = "passed", *, text: str = "words", **changes: Any) -> dict[str, Any]:
    finding = dict.fromkeys(("message", "where", "observed", "expected", "why", "fix"), text)
    quiet = outcome in ("passed", "not-applicable", "not-run")
    return {
        "code": f"DATA-{number}",
        "name": text,
        "claim": text,
        "section": text,
        "item": text,
        "severity": "required",
        "outcome": outcome,
        "reason": text,
        "summary": text,
        "seconds": 0.25,
        "evidence": {text: text, "deep": [text, {text: 1}]},
        "findings": [] if quiet else [finding] * 7,
        "docs": dict.fromkeys(("what", "why", "fix", "evidence"), text),
    } | changes


def curve(*values: list[Any], title: str = "Loss", name: str = "line", **more: Any) -> dict[str, Any]:
    """A chart of lines that have a value at each step from 1."""
    named = [{"name": f"{name} {n}", "steps": list(range(1, len(v) + 1)), "values": v} for n, v in enumerate(values)]
    return {"title": title, "lines": named, **more}


def score(title: str, **changes: Any) -> dict[str, Any]:
    """A metric that rose from 0.5 to 0.75."""
    sides = {"base": (0.5, 0.4, 0.6), "tuned": (0.75, 0.7, 0.8), "difference": (0.25, 0.1, 0.4)}
    intervals = {side: dict(zip(("value", "low", "high"), ends, strict=True)) for side, ends in sides.items()}
    return (
        {"name": title, "title": title, "higher_is_better": True, "top": 1, "n": 40, "wanted": 64} | intervals | changes
    )


def answer(text: str, **changes: Any) -> dict[str, Any]:
    """What was asked, and all that came of it."""
    return {**dict.fromkeys(("where", "prompt", "expected", "base", "tuned"), text), "stopped": True} | changes


def report(text: str = "words", **changes: Any) -> dict[str, Any]:
    """A report with every outcome and picture, and `text` wherever the user's text can be."""
    checks = [check(101 + n, outcome, text=text) for n, outcome in enumerate(OUTCOMES)]
    return {
        "schema": 1,
        "tool": {"name": "preflight", "version": "0.1.0"},
        "stage": "preflight",
        "verdict": "red",
        "why": text,
        "next": text,
        "started": "2026-08-24T09:12:44+00:00",
        "seconds": 12.3,
        "config": {"path": text, "name": text, "resolved": {text: {text: text}}},
        "digests": {text: text},
        "environment": {text: text},
        "counts": dict.fromkeys(OUTCOMES, 1),
        "checks": checks,
        "pictures": {
            "curves": [
                curve([2.5, None, 1.5], title=text, name=text),
                curve(
                    [0.5, 0.75, 0.5], [0.5, 0.25, None], [0.1, 0.2, 0.3], limit={"name": text, "value": 2.0}, unit=text
                ),
            ],
            "token_lengths": {"edges": [0, 64, 128, 192], "counts": [3, 9, 1], "max_length": 128},
            "label_view": [
                {"row": 12, "pieces": [{"text": text, "supervised": False}, {"text": text, "supervised": True}]}
            ],
            "scores": [score(text), score(text, top=None, higher_is_better=False)],
            "answer_lengths": {"edges": [0, 4, 8], "expected": [3, 0], "base": [0, 3], "tuned": [2, 1]},
            "worse": [{**answer(text), "scores": [{"metric": text, "base": 1.0, "tuned": 0.25}]}],
            "general_texts": [{"key": text, "kind": text, "text": text, "base": 1.5, "tuned": 2.0, "tokens": 9}],
            "general_prompts": [{"key": text, "prompt": text, "base": text, "kl": 0.5}],
            "edge_cases": [
                dict.fromkeys(("name", "prompt", "base", "tuned", *fault), text) for fault in (("fault",), ())
            ],
            "samples": [answer(text), answer(text, stopped=False), {"prompt": text, "base": text, "tuned": text}],
        },
    } | changes


class Page(HTMLParser):
    """The tags with their attributes in document order, the text, and whatever was left open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.inside: dict[str, str] = {"script": "", "style": ""}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.inside:
            self.inside[self.open[-1]] += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def shape(self) -> list[tuple[str, list[str]]]:
        return [(tag, list(attributes)) for tag, attributes in self.tags]

    def all(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_changes_no_tag_and_no_attribute(text: str):
    """Whatever the text, the page has the very tags and attributes it has with harmless text."""
    page = Page(render_html(report(text)))

    assert page.open == []
    assert page.shape() == Page(render_html(report())).shape()
    assert " ".join(visible(text).split()) in page.text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_invisible_character_reaches_the_file(text: str):
    """The page is plain UTF-8 without characters that hide or reorder text."""
    html = render_html(report(text))

    html.encode("utf-8")
    hidden = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
    assert re.findall(hidden, html) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain\n\ttext", "plain\n\ttext"),
        ("a\x00b", "a⟨U+0000⟩b"),
        ("a\r\nb", "a⟨U+000D⟩\nb"),
        ("\u202egpj", "⟨U+202E⟩gpj"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("\U000e0041", "⟨U+E0041⟩"),
        ("family \U0001f468\u200d\U0001f469", "family \U0001f468\u200d\U0001f469"),
        ("non\u00a0breaking, עברית", "non\u00a0breaking, עברית"),
    ],
)
def test_visible(text: str, expected: str):
    """Hidden characters get a mark; languages and emoji stay as they are."""
    assert expected == visible(text)


def test_the_page_needs_nothing_else():
    """No address leads out of the page, and the policy allows exactly its own style and script."""
    page = Page(render_html(report()))
    addresses = page.all("href") + page.all("src")

    assert addresses
    assert {address[0] for address in addresses if not address.startswith("data:image/svg+xml,")} == {"#"}
    assert "url(" not in page.inside["style"]
    assert "@import" not in page.inside["style"]
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    for name, text in page.inside.items():
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in str(policy)
    assert str(policy).startswith("default-src 'none';")
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("pictures", [True, False])
def test_structure_for_assistive_technology(pictures: bool):
    """Landmarks, headings without a gap, unique ids, and links and labels that lead somewhere."""
    page = Page(render_html(report() if pictures else report(pictures={})))
    names = [tag for tag, _ in page.tags]
    ids = page.all("id")

    assert page.tags[0] == ("html", {"lang": "en"})
    assert [names.count(tag) for tag in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    levels = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(ids) == len(set(ids))
    assert {target for value in page.all("aria-labelledby") for target in value.split()} <= set(ids)
    assert {href[1:] for href in page.all("href") if href.startswith("#")} <= set(ids)


def test_without_javascript_everything_shows_but_the_filters():
    """The toolbar alone waits for the script."""
    hidden = [a.get("class") for _, a in Page(render_html(report())).tags if "hidden" in a]

    assert hidden == ["tools"]


@pytest.mark.parametrize("verdict", ["green", "red", "partial"])
def test_the_verdict_is_a_word_first(verdict: str):
    """The big word, the reason, the next command and the counts open the page."""
    text = Page(render_html(report(verdict=verdict, why="the reason", next="the command"))).text

    order = [verdict.upper(), "preflight of words", "the reason", "Next: the command", "1 passed", "What blocks"]
    places = [text.index(part, 40) for part in order]
    assert places == sorted(places)
    assert "8 checks in 12.3 s, started 2026-08-24 09:12:44+00:00" in text


def test_an_unknown_verdict_or_outcome_looks_red():
    """What the page doesn't know, it doesn't call good."""
    html = render_html(report(verdict="splendid", checks=[check(101, "splendid")]))

    assert '<body class="red">' in html
    assert 'class="badge bad"><span aria-hidden="true">✗</span> splendid' in html


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_each_outcome_has_icon_word_and_tone(outcome: str):
    """Never colour alone; and what didn't run or crashed looks as serious as a failure."""
    html = render_html(report(checks=[check(101, outcome)]))
    icon, tone = LOOKS[outcome]
    blocks = outcome in ("failed", "error", "not-run", "not-available")

    badge = f'<span class="badge {"bad" if blocks else tone}"><span aria-hidden="true">{icon}</span>'
    assert f"{badge} {outcome.replace('-', ' ')}</span>" in html
    assert ('<li class="row blocks"' in html) == blocks
    assert ('<article class="card">' in html) == blocks


def test_not_available_blocks_only_if_required():
    """Advice that can't be judged here is no blocker."""
    html = render_html(report(checks=[check(101, "not-available", severity="advice")]))

    assert '<article class="card">' not in html
    assert 'class="badge warn"' in html


def test_blocking_findings_come_first_and_in_full():
    """What blocks precedes the checklist, with place, values, reason and repair."""
    finding = {
        "message": "Row 17 has no answer",
        "where": "data/train.jsonl:17",
        "observed": "0 words",
        "expected": "1 or more",
        "why": "It teaches silence.",
        "fix": "Drop line 17.",
    }
    html = render_html(report(checks=[check(101), check(102, "failed", findings=[finding])]))
    card = Page(html[html.index('<article class="card">') : html.index("</article>")]).text

    places = [card.index(part) for part in finding.values()]
    assert places == sorted(places)


def test_checks_that_did_not_run_are_told_once_per_reason():
    """Fifty deselected checks are one card, not fifty."""
    html = render_html(report(checks=[check(101 + n, "not-run", reason="deselected") for n in range(50)]))

    assert html.count('<article class="card">') == 1
    assert "50 checks: deselected" in Page(html).text


def test_the_checklist_keeps_its_order_by_section():
    """Sections come as they first appear, each check under its own."""
    sections = ["2 Hardware", "10 Later", "2 Hardware", "1 Data"]
    page = render_html(report(checks=[check(101 + n, section=name) for n, name in enumerate(sections)]))

    assert re.findall(r'class="group"><h3>(.*?)</h3>', page) == ["2 Hardware", "10 Later", "1 Data"]
    assert re.findall(r'<span class="mono">(DATA-\d+)</span>', page) == ["DATA-101", "DATA-103", "DATA-102", "DATA-104"]


def test_many_findings_and_endless_values_stay_readable():
    """A page for a hundred checks with long lists and values stays small, and says what it left out."""
    findings = [{"message": f"row {n}", "observed": "x" * 50} for n in range(1000)]
    checks = [check(101 + n) for n in range(100)]
    checks += [check(301, "failed", findings=findings), check(302, evidence={"long": "y" * 100_000})]
    html = render_html(report(checks=checks))
    text = Page(html).text

    assert "995 more" in text
    assert "The other 800 are in report.json." in text
    assert "80,000 more characters in report.json" in text
    assert len(html) < 500_000


def test_a_bare_report_renders():
    """A run cut off before its first check still gets a page."""
    bare = {"verdict": "red", "stage": "preflight", "why": "cut off", "checks": [], "started": "", "seconds": 0}

    assert "cut off" in Page(render_html(bare)).text


def test_tokens_show_their_white_space_and_supervision():
    """Supervised tokens are marked up as such, and line breaks and tabs can be seen."""
    pieces = [{"text": "ask\n", "supervised": False}, {"text": "\tanswer\x00", "supervised": True}]
    html = render_html(report(pictures={"label_view": [{"row": 3, "pieces": pieces}]}))

    assert "<span>ask↵\n</span><mark>⇥\tanswer⟨U+0000⟩</mark>" in html


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.041, "0.04 s"), (12.34, "12.3 s"), (125.2, "2 min 05 s"), (3720, "1 h 02 min"), (None, ""), (math.nan, "")],
)
def test_duration(seconds: float | None, expected: str):
    """Times read the way people say them."""
    assert expected == duration(seconds)


def test_a_curve_breaks_at_what_is_no_number():
    """NaN, infinity and null leave a gap and are named; the scale ignores them."""
    chart = line_chart(curve([3.0, 2.0, math.nan, None, 1.0, math.inf], name="training"))

    assert chart is not None
    assert chart["broken"] == ["3", "4", "6"]
    assert chart["lines"][0]["d"].count("M") == 1
    assert len(chart["lines"][0]["dots"]) == 3
    assert chart["text"] == "training 0 3 to 1, lowest 1 at step 5, highest 3 at step 1"


def test_of_a_long_curve_only_points_between_gaps_are_marked():
    """A line shows what has neighbours; what stands alone needs a dot."""
    chart = line_chart(curve([1.0] * 50 + [None, 2.0, None] + [1.0] * 50))

    assert chart is not None
    assert chart["lines"][0]["d"].count("M") == 2
    assert len(chart["lines"][0]["dots"]) == 1


def test_the_lines_of_a_chart_can_be_told_apart_without_colour():
    """Solid, dashed and dotted, and the caption says which is which."""
    words = Page(render_html(report(pictures={"curves": [curve([1, 2], [2, 3], [3, 4])]}))).text

    assert "Loss by step; line 0 solid; line 1 dashed; line 2 dotted" in words


def test_the_axis_starts_at_the_floor_and_reaches_the_limit():
    """Memory against what the card has: neither the line nor the limit leaves the frame."""
    chart = line_chart(curve([40, 60], floor=0, limit={"name": "card in total", "value": 80}, unit="GiB"))

    assert chart is not None
    assert chart["limit"] == (14, "card in total: 80")
    assert chart["lines"][0]["dots"] == [["56.0", "113.0"], ["454.0", "63.5"]]
    assert next(label for _, label in chart["axes"].y_ticks) == "0"
    assert chart["text"].endswith(" (GiB)")


def test_a_long_curve_stays_small_and_keeps_its_spike():
    """A hundred thousand steps are thinned; the one spike is still drawn at the top."""
    loss = [1.0 + n % 7 / 100 for n in range(100_000)]
    loss[54_321] = 9.0
    chart = line_chart(curve(loss))

    assert chart is not None
    path = chart["lines"][0]["d"]
    assert len(path) < 10_000
    assert min(float(point.split()[1]) for point in re.split("[ML]", path)[1:]) == 14


@pytest.mark.parametrize(
    "chart",
    [
        {},
        {"lines": []},
        curve([]),
        curve([None]),
        {"lines": [{"name": "loss", "steps": ["<b>"], "values": ["<b>"]}]},
        {"lines": [{"name": "loss", "steps": [10**400], "values": [1e308]}]},
    ],
)
def test_no_values_no_curve(chart: dict[str, Any]):
    """Nothing to draw draws nothing."""
    assert line_chart(chart) is None


@pytest.mark.parametrize("loss", [[0.5], [0.5, 0.5], [0, 0], [1e-9, 2e-9], [-5, 1e14]])
@pytest.mark.parametrize("floor", [None, 0])
def test_flat_and_extreme_curves_stay_in_the_frame(loss: list[float], floor: float | None):
    """A single point, a flat line and extreme values are drawn inside the frame."""
    chart = line_chart(curve(loss, floor=floor))

    assert chart is not None
    points = [p.split() for p in re.split("[ML]", chart["lines"][0]["d"])[1:]] or chart["lines"][0]["dots"]
    assert all(56 <= float(x) <= 454 and 14 <= float(y) <= 212 for x, y in points)


def test_histogram_marks_what_is_cut():
    """Bars beyond max_length are marked, and the limit is named even outside the data."""
    drawn = histogram({"edges": [0, 64, 128, 192], "counts": [3, 9, 1], "max_length": 128})
    wide = histogram({"edges": [0, 64], "counts": [3], "max_length": 512})

    assert drawn is not None
    assert wide is not None
    assert [bar["over"] for bar in drawn["bars"]] == [False, False, True]
    assert drawn["text"] == "13 examples; most (9) between 64 and 128 tokens"
    assert wide["limit"] == (454, "max_length 512")


@pytest.mark.parametrize(
    "data", [{}, {"edges": [0], "counts": []}, {"edges": [0, 1], "counts": [0]}, {"edges": ["a", 1], "counts": [1]}]
)
def test_no_lengths_no_histogram(data: dict[str, Any]):
    """Nothing to draw draws nothing."""
    assert histogram(data) is None


def test_writing_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """If the write fails, the old page stays and no half-written file is left."""
    path = tmp_path / "report.html"
    write_html(report("first"), path)
    before = path.read_text(encoding="utf-8")

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        write_html(report("second"), path)

    assert before == path.read_text(encoding="utf-8")
    assert [path] == list(tmp_path.iterdir())


# In a real browser; `driver` is in tests/preflight/conftest.py.


@pytest.fixture
def browse(driver: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens a report; afterwards nothing may have reached the console or the network."""

    def emulate(width: int, scheme: str, scripts: bool) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})

    def opened(content: dict[str, Any], width: int = 1280, scheme: str = "light", scripts: bool = True) -> Any:
        emulate(width, scheme, scripts)
        write_html(content, path)
        driver.get(path.as_uri())
        return driver

    path = tmp_path / "report.html"
    driver.get("about:blank")
    driver.get_log("browser")
    driver.get_log("performance")
    yield opened
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert path.as_uri() in asked
    assert [url for url in asked if url != path.as_uri() and not url.startswith("data:")] == []
    assert driver.get_log("browser") == []


def shown(driver: Any) -> list[str]:
    rows = driver.find_elements("css selector", ".row")
    return [row.get_attribute("data-outcome") for row in rows if row.is_displayed()]


def click(driver: Any, selector: str) -> None:
    driver.execute_script("arguments[0].scrollIntoView()", driver.find_element("css selector", selector))
    driver.find_element("css selector", selector).click()


def soon(condition: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_browser_filters_and_search(browse: Callable[..., Any]):
    """Buttons choose outcomes, words narrow further, and the count is announced."""
    content = report()
    content["checks"][2]["findings"][0] = {"message": "A zebra in row 7"}
    page = browse(content)
    assert shown(page) == OUTCOMES

    click(page, "button[value=failed]")
    click(page, "button[value=warned]")
    assert shown(page) == ["failed", "warned"]
    assert page.find_element("css selector", "button[value=failed]").get_attribute("aria-pressed") == "true"
    assert page.find_element("id", "shown").text == "2 of 8 checks shown"

    page.find_element("id", "search").send_keys("ZEBRA row")
    assert shown(page) == ["warned"]
    page.find_element("id", "search").send_keys(" nowhere")
    assert shown(page) == []
    assert not page.find_element("css selector", ".group").is_displayed()

    page.find_element("id", "search").clear()
    click(page, "button[value='']")
    assert shown(page) == OUTCOMES

    click(page, "header a[data-only=error]")
    assert shown(page) == ["error"]


@pytest.mark.parametrize("width", [320, 1280])
def test_browser_curves(browse: Callable[..., Any], width: int):
    """Every chart is drawn inside its frame, and has a name and a description for who can't see it."""
    long = curve([n % 97 / 10 for n in range(2000)], [5.0] * 2000, [2.0] * 2000, limit={"name": "most", "value": 12})
    short = curve([1.0], title="One value")
    page = browse(report(pictures={"curves": [long, short, curve([None]), curve([1.0, None, 2.0])]}), width=width)

    drawings = page.find_elements("css selector", "figure svg")
    assert [drawing.aria_role for drawing in drawings] == ["image"] * 3
    assert drawings[0].accessible_name.startswith("Loss by step line 0 0 to 5.9, lowest 0 at step 1, highest 9.6 at")
    assert drawings[1].accessible_name.startswith("One value by step line 0 1 to 1")
    outside = """return [...document.querySelectorAll('svg path, svg circle, svg line, svg text')].filter((e) => {
      const box = e.getBoundingClientRect(), frame = e.ownerSVGElement.getBoundingClientRect();
      const beyond = [frame.left - box.left, box.right - frame.right, frame.top - box.top, box.bottom - frame.bottom];
      return Math.max(...beyond) > 1;
    }).map((e) => e.outerHTML.slice(0, 80))"""
    assert page.execute_script(outside) == []
    styles = "return [...document.querySelectorAll('svg path')].map((e) => getComputedStyle(e).strokeDasharray)"
    assert page.execute_script(styles)[:3] == ["none", "6px, 4px", "2px, 3px"]


def test_browser_details_open(browse: Callable[..., Any]):
    """A row opens by click and by keyboard, all rows by one button, and a link from a finding opens its row."""
    page = browse(report())
    bodies = page.find_elements("css selector", ".row .body")
    assert not any(body.is_displayed() for body in bodies)

    click(page, "#check-1 summary")
    assert [body.is_displayed() for body in bodies] == [True] + [False] * 7
    page.find_element("css selector", "#check-1 summary").send_keys("\ue007")
    assert not bodies[0].is_displayed()

    click(page, "button[value=passed]")
    for _ in range(2):  # the second time the address doesn't change
        click(page, ".card a[href='#check-2']")
        soon(bodies[1].is_displayed)
        click(page, "#check-2 summary")
        assert not bodies[1].is_displayed()

    click(page, "#open")
    assert all(body.is_displayed() for body in bodies)
    click(page, "#open")
    assert not any(body.is_displayed() for body in bodies)


def test_browser_without_javascript(browse: Callable[..., Any]):
    """Everything is there without scripts, and the dead filters aren't."""
    page = browse(report(), scripts=False)
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

    assert shown(page) == OUTCOMES
    assert not page.find_element("css selector", ".tools").is_displayed()
    click(page, "#check-1 summary")
    assert page.find_element("css selector", "#check-1 .body").is_displayed()


def test_browser_print_shows_everything(browse: Callable[..., Any]):
    """On paper all details are open and no filter hides a check; the style alone does it."""
    page = browse(report())
    click(page, "button[value=passed]")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})

    assert shown(page) == OUTCOMES
    bodies = "return [...document.querySelectorAll('.row .body, .more dl')]"
    heights = page.execute_script(f"{bodies}.map((e) => e.checkVisibility() ? e.clientHeight : 0)")
    assert len(heights) == 8 + 3
    assert min(heights) > 10
    assert not page.find_element("css selector", "nav").is_displayed()


@pytest.mark.parametrize("width", [320, 420, 1280])
def test_browser_long_text_wraps(browse: Callable[..., Any], width: int):
    """Nothing runs out of the window, however long and unbroken."""
    page = browse(report(HOSTILE["unbroken"]), width=width)
    page.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; })")

    assert page.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("text", [HOSTILE["script"], HOSTILE["end of style"], HOSTILE["attribute quotes"]])
def test_browser_runs_nothing_from_the_data(browse: Callable[..., Any], text: str):
    """Hostile text neither runs nor loads; it can be read."""
    page = browse(report(text))

    assert page.find_element("css selector", "h1 b").text == text
    assert page.execute_script("return document.scripts.length + document.images.length") == 1


@pytest.mark.parametrize("verdict", ["green", "red", "partial"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_browser_contrast(browse: Callable[..., Any], verdict: str, scheme: str):
    """All text has the AA contrast of 4.5 to 1 in both colour schemes."""
    page = browse(report(verdict=verdict), scheme=scheme)
    page.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    click(page, "button[value=passed]")
    click(page, "button[value='']")
    seen, poor = page.execute_script(CONTRAST)

    dark = page.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches")
    assert dark == (scheme == "dark")
    assert seen > 200
    assert poor == []

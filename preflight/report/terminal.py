"""The terminal: one line a check, grouped by the checklist's sections, then what was found, then the verdict."""

import os
import textwrap
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.terminal import TerminalReporter

from preflight.findings import counted
from preflight.registry import SECTIONS
from preflight.verdict import Result

if TYPE_CHECKING:
    from preflight.session import Gate

MARKS = {
    "passed": ("✓", "ok", {"green": True}),
    "failed": ("✗", "FAIL", {"red": True, "bold": True}),
    "warned": ("!", "warn", {"yellow": True}),
    "waived": ("~", "waived", {"yellow": True}),
    "not-applicable": ("-", "n/a", {"light": True}),
    "not-available": ("?", "can't tell", {"red": True}),
    "not-run": (" ", "not run", {"light": True}),
    "error": ("✗", "BROKEN", {"red": True, "bold": True}),
}
COLOURS = {"green": {"green": True}, "red": {"red": True}, "partial": {"yellow": True}}
ASCII = str.maketrans({"…": "...", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"'})
MAX_SHOWN = 5  # findings of one check on the screen; the report has all
LABEL = 34  # the longest shipped code and name, and one space


def install(pytest_config: pytest.Config, gate: "Gate") -> None:
    """Put the checklist's reporter in the place of pytest's own."""
    manager = pytest_config.pluginmanager
    standard = manager.get_plugin("terminalreporter")
    if standard is None:  # -p no:terminal
        return
    manager.unregister(standard)
    manager.register(ChecklistReporter(pytest_config, gate), "terminalreporter")


# pytest calls its reporter final and offers no other way to another screen; what is overridden here is tested.
class ChecklistReporter(TerminalReporter):  # type: ignore[misc]
    """pytest's reporter with the checklist's own lines; ordinary tests in the same run look as they always do."""

    def __init__(self, pytest_config: pytest.Config, gate: "Gate") -> None:
        super().__init__(pytest_config)
        self.gate = gate
        self.broken: list[pytest.TestReport] = []
        self.current: int | None = None
        self.ascii = not _takes(self._tw, "✓✗…")
        self.parallel = bool(getattr(pytest_config.option, "numprocesses", None))
        self.functions = {(check.path.name, check.function.__name__) for check in gate.checks.values()}
        self._show_progress_info = False  # pytest's percentages would count the checks

    def is_check(self, nodeid: str) -> bool:
        file, _, function = nodeid.rpartition("::")
        return (file.rpartition("/")[2], function) in self.functions

    def say(self, text: str, **markup: bool) -> None:
        """A line of text, with nothing in it that the terminal would obey or could not show."""
        shown = safe(text)
        if self.ascii:
            shown = shown.translate(ASCII).encode("ascii", "backslashreplace").decode()
        self._tw.line(shown, **markup)

    def wrap(self, text: str, **markup: bool) -> None:
        """The text within the screen's width; what follows the first line is indented."""
        width = max(self._tw.fullwidth - 1, 40)
        for line in textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False):
            self.say(line, **markup)

    def mark(self, outcome: str) -> tuple[str, dict[str, bool]]:
        glyph, word, markup = MARKS[outcome]
        return (f"{word:10}" if self.ascii else glyph), markup

    # --- while it runs ----------------------------------------------------------------------------------------------

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        if not self.is_check(nodeid):
            super().pytest_runtest_logstart(nodeid, location)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found: dict[str, Any] | None = getattr(report, "preflight", None)
        if found is None:
            if report.failed or not self.is_check(report.nodeid):  # a check that fails without a word: its worker died
                super().pytest_runtest_logreport(report)
            return
        self._tests_ran = True
        if found["outcome"] == "error":
            self.broken.append(report)
        # A third of the checks has no subject in a usual run; who asks for one of them by name wants to see it.
        quiet = found["outcome"] == "not-applicable" and not self.verbosity and not self.config.option.keyword
        if self.verbosity >= 0 and not quiet:
            self.line_of(Result(**found))

    def line_of(self, result: Result) -> None:
        """`✓ DATA-101 consistent-format    640 rows, all messages    0.01s`, within the screen's width."""
        meta = self.gate.checks[result.code]
        if meta.section != self.current and not self.parallel:
            self.current = meta.section
            self._tw.line()
            self._tw.line(f"{meta.section} {SECTIONS[meta.section]}" if meta.section else SECTIONS[0], bold=True)
        mark, markup = self.mark(result.outcome)
        said = result.reason if result.outcome in ("not-applicable", "not-available", "error") else result.summary
        said = said or (result.findings[0]["message"] if result.findings else "")
        time = f"{result.seconds:6.1f}s" if result.seconds >= 0.05 else ""
        start = f"  {mark} "
        self._tw.write(start, **markup)
        label = f"{meta.code} {meta.name:{LABEL - len(meta.code)}}"
        room = max(self._tw.fullwidth - len(start) - len(label) - len(time) - 1, 12)
        self.say(f"{label}{cut(said, room, '...' if self.ascii else '…'):{room}}{time}".rstrip())

    # --- the end ----------------------------------------------------------------------------------------------------

    def summary_failures(self) -> None:
        """What was waived, what warns, and last, where the eye is: what blocks, each with its fix."""
        super().summary_failures()
        if self.gate.report is None:
            return
        checks = self.gate.report["checks"]
        self._tracebacks()
        self._findings("waived", [c for c in checks if c["outcome"] == "waived"])
        self._findings("warnings", [c for c in checks if c["outcome"] == "warned"])
        self._findings("blocks", [c for c in checks if Result(c["code"], c["severity"], c["outcome"]).blocks])

    def _findings(self, title: str, checks: list[dict[str, Any]]) -> None:
        if not checks:
            return
        self._tw.sep("-", title, bold=True)
        # One missing folder can keep a dozen checks from judging: the reason is said once.
        untold = [check for check in checks if not check["findings"]]
        for (outcome, reason), alike in groupby(sorted(untold, key=_cause), key=_cause):
            self._heading(outcome, alike)
            self.say(f"  {reason}")
        for check in checks:
            if check["findings"]:
                self._heading(check["outcome"], [check])
                if check["reason"]:
                    self.say(f"  {check['reason']}")
                for finding in check["findings"][:MAX_SHOWN]:
                    self._finding(finding)
                if (more := len(check["findings"]) - MAX_SHOWN) > 0:
                    self.say(f"  … and {more} more in the report")
        self._tw.line()

    def _heading(self, outcome: str, checks: Iterable[dict[str, Any]]) -> None:
        mark, markup = self.mark(outcome)
        codes, names = zip(*((check["code"], check["name"]) for check in checks), strict=True)
        self.wrap(f"{mark.rstrip()} {', '.join(codes) if len(codes) > 1 else f'{codes[0]} {names[0]}'}", **markup)

    def _finding(self, finding: dict[str, str]) -> None:
        place = f"{finding['where']}: " if "where" in finding else ""
        self.say(f"  {place}{finding['message']}")
        if pairs := [f"{key} {finding[key]}" for key in ("observed", "expected") if key in finding]:
            self.say(f"    {', '.join(pairs)}")
        for key in ("why", "fix"):
            if key in finding:
                self.say(f"    {key}: {finding[key]}", bold=key == "fix")

    def _tracebacks(self) -> None:
        """A broken check: show where. A shipped one is our bug."""
        for report in self.broken:
            code = report.preflight["code"]
            plea = "" if code.startswith("USER-") else "; please report this"
            self._tw.sep("-", f"{code} is broken{plea}", red=True)
            report.toterminal(self._tw)
            self._tw.line()

    def summary_warnings(self) -> None:
        """Deprecations inside the libraries are nothing the user can act on; `-v` shows them."""
        if self.verbosity > 0:
            super().summary_warnings()

    def summary_stats(self) -> None:
        """The footer: the verdict, why, and what to do next."""
        report = self.gate.report
        if report is None:
            super().summary_stats()
            return
        verdict = report["verdict"]
        why = f"no clearance: {report['why']}"
        if verdict == "green":
            place = os.path.relpath(self.gate.folder / "clearance.json")
            why = f"this machine passes: {report['why']}" if self.gate.on_machine else f"cleared: {place}"
        tests = {name: len(found) for name, found in self.stats.items() if name in ("passed", "failed", "error")}
        self._tw.sep("=", f"{verdict.upper()} in {report['seconds']:.1f}s", bold=True, **COLOURS[verdict])
        hidden = report["counts"].get("not-applicable") and not self.verbosity and not self.config.option.keyword
        self.wrap(tally("check", report["counts"]) + (" (-v shows them)" if hidden else ""))
        if tests:
            self.wrap(tally("other test", tests))
        self.wrap(f"partial run, {why}" if verdict == "partial" else why)
        self.say(f"report:  {os.path.relpath(self.gate.folder / 'report.html')}")
        self.say(f"next:    {report['next']}")

    def _printcollecteditems(self, items: Any) -> None:
        """`--co`: the checklist as claims."""
        section = None
        for item in items:
            meta = getattr(item, "check", None)
            if meta is None:
                self._tw.line(item.nodeid)
                continue
            if meta.section != section and self.verbosity >= 0:
                section = meta.section
                self._tw.line(f"{section} {SECTIONS[section]}" if section else SECTIONS[0], bold=True)
            severity = self.gate.severities[meta.code]
            self._tw.line(f"  {meta.code}  {meta.claim}  ({severity})")


def safe(text: str) -> str:
    """Text of the user's data with control characters made visible: a terminal must not obey a dataset."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def cut(text: str, width: int, end: str) -> str:
    """The text on one line of at most `width` characters."""
    line = safe(" ".join(text.split()))
    return line if len(line) <= width else line[: width - len(end)] + end


def tally(noun: str, counts: dict[str, int]) -> str:
    """`24 checks: 22 passed, 1 warned, 1 not-applicable`."""
    parts = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    return f"{counted(sum(counts.values()), noun)}: {parts}"


def _cause(check: dict[str, Any]) -> tuple[str, str]:
    return check["outcome"], check["reason"]


def _takes(writer: Any, text: str) -> bool:
    encoding = getattr(getattr(writer, "_file", None), "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
